import type { LogCategory, LogLevel } from './types.ts';

/** One thing the host or the app said. */
export interface LogEntry {
  readonly time: Date;
  readonly level: LogLevel;
  /** `user`: the app's own words. `system`: the library's. `host`: this host's. */
  readonly category: LogCategory | 'host';
  readonly message: string;
  readonly functionName?: string;
  readonly invocationId?: string;
}

export type Log = (entry: Omit<LogEntry, 'time'>) => void;

const LABELS: Record<LogLevel, string> = {
  trace: 'trce',
  debug: 'dbug',
  information: 'info',
  warning: 'warn',
  error: 'fail',
  critical: 'crit',
  none: 'none',
};

/** `01:20:31.042 info [sync 5f0c12ab] message`, the id shortened to what tells concurrent calls apart. */
export function formatLogEntry(entry: LogEntry): string {
  const time = entry.time.toISOString().slice(11, 23);
  const where =
    entry.functionName === undefined
      ? entry.category
      : [entry.functionName, entry.invocationId?.slice(0, 8)].filter(Boolean).join(' ');
  return `${time} ${LABELS[entry.level]} [${where}] ${entry.message}`;
}

/** What to show a developer: all the app says, and of the rest what is more than chatter. */
export function isWorthShowing(entry: LogEntry): boolean {
  return entry.level !== 'none' && (entry.category === 'user' || !['trace', 'debug'].includes(entry.level));
}
