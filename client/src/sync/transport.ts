import type { IntegrityQuestions } from './integrity.ts';
import type { SyncRequest, SyncResponse } from '../../../shared/protocol/sync.ts';

/** The way from a device to the documents of the service. */
export interface Transport {
  /** Checkpoints are good for the transport that gave them, by this name. */
  readonly name: string;
  /**
   * Carries one request. Sent again with the same changes, it has no more effect than once.
   *
   * @throws TidemarkError
   */
  send(request: SyncRequest, signal: AbortSignal): Promise<Exchange>;
  /** Absent: checksums cannot be asked for on this way. */
  readonly integrity?: IntegrityQuestions;
}

/** An answer, and what it took. */
export interface Exchange {
  readonly response: SyncResponse;
  readonly requests: number;
  /** Of bodies, as they went over the wire where that is known. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
}
