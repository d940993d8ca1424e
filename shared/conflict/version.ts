/**
 * A version, as clients hold it: the ETag of a document with its stamp and whether it was live. Opaque to clients.
 *
 * Only the ETag is trusted: every write that leans on a version is conditional on it. Stamp and liveness let the
 * gateway write without reading first.
 */
export interface Version {
  readonly etag: string;
  /** Milliseconds since the epoch. */
  readonly stamp: number;
  readonly live: boolean;
}

const FORMAT = /^1\.([lt])\.(-?[0-9a-z]{1,12})\.([^.]+)$/;

export const formatVersion = ({ etag, stamp, live }: Version): string =>
  `1.${live ? 'l' : 't'}.${stamp.toString(36)}.${encodeURIComponent(etag).replaceAll('.', '%2E')}`;

/** Null for text that no gateway wrote. */
export function parseVersion(text: string): Version | null {
  const [, liveness, stampText = '', etagText = ''] = FORMAT.exec(text) ?? [];
  const stamp = parseInt(stampText, 36);
  if (liveness === undefined || !Number.isSafeInteger(stamp)) return null;
  try {
    const etag = decodeURIComponent(etagText);
    // In If-Match a star fits every version: it would let an edit win unseen over whatever is stored.
    return etag.includes('*') ? null : { etag, stamp, live: liveness === 'l' };
  } catch {
    return null;
  }
}

/**
 * What an edit was made on.
 * `nothing`: the client knew no document. `live`: a document whose version the client does not know. `unstated`: a
 * client that goes by time alone.
 */
export type Base =
  { readonly kind: 'nothing' | 'live' | 'unstated' } | ({ readonly kind: 'version' } & Version);

/**
 * Reads `baseVersion`. A text that is no version counts as `live`: the edit was made on something, and nothing may be
 * assumed of it.
 */
export function parseBase(baseVersion: string | null | undefined): Base {
  if (baseVersion === undefined) return { kind: 'unstated' };
  if (baseVersion === null) return { kind: 'nothing' };
  const version = parseVersion(baseVersion);
  return version === null ? { kind: 'live' } : { kind: 'version', ...version };
}
