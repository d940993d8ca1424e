import type { SyncStatus } from '@tidemark/client';

/** The state of the sync, in words for people. */
export function describeStatus({ state, pending, lastSuccess, lastError }: SyncStatus): string {
  const waiting = pending === 0 ? '' : ` · ${pending} ${pending === 1 ? 'change' : 'changes'} to send`;
  switch (state) {
    case 'syncing':
      return `Syncing…${waiting}`;
    case 'offline':
      return `Offline${waiting}`;
    case 'error':
      return `Not synced: ${lastError?.message ?? 'for an unknown reason'}${waiting}`;
    case 'idle':
      return `Online${waiting || (lastSuccess === null ? '' : ' · up to date')}`;
  }
}
