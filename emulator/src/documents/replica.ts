import { header } from '../http/context.ts';
import type { Context } from '../http/context.ts';
import type { ContainerState, RangeState } from '../resources/catalog.ts';
import { laggingReads } from '../storage/lagging-replica.ts';
import type { DocumentReads } from '../storage/lagging-replica.ts';

/** The copy of the data that answers a read, and how far it is. */
export interface Replica {
  readonly reads: DocumentReads;
  lsnOf(range: RangeState): number;
}

/**
 * A read that brings a session token sees everything its session has seen: it is served from the newest state. One
 * without may meet a replica that lags, where the emulator was told to have such.
 */
export function replicaFor(context: Context, container: ContainerState): Replica {
  const { store, history } = context.services;
  const { lag } = history;
  if (lag === 0 || header(context, 'x-ms-session-token') !== undefined)
    return { reads: store, lsnOf: ({ lsn }) => lsn };
  const hidden = history.of(container.model.no).filter((change) => {
    const range = container.ranges.find(({ id }) => id === change.range);
    return range !== undefined && change.lsn > range.lsn - lag;
  });
  return {
    reads: laggingReads(store, hidden),
    lsnOf: (range) => {
      const first = hidden.find((change) => change.range === range.id);
      return first === undefined ? range.lsn : first.lsn - 1;
    },
  };
}
