import { CosmosError } from '../errors.ts';
import type { ContainerState, RangeState } from '../resources/catalog.ts';

/** Session tokens: `<range>:-1#<lsn>`. The SDK keeps one for each range of each container and sends them back. */
export function sessionToken(range: RangeState): string {
  return `${range.id}:-1#${range.lsn}`;
}

/**
 * Which partitions a request was about: their session tokens, and the id where it was one. Tokens are joined only
 * where one answer came from several: most SDKs ask one partition at a time and cannot read more than one token.
 */
export function rangeHeaders(ranges: readonly RangeState[]): Record<string, string> {
  const [range] = ranges;
  return {
    'x-ms-session-token': ranges.map(sessionToken).join(','),
    ...(range !== undefined && ranges.length === 1
      ? { 'x-ms-documentdb-partitionkeyrangeid': range.id }
      : {}),
  };
}

/**
 * A read whose session has seen a later state than the one stored cannot be served: 404 with sub-status 1002. It
 * happens with a token of a container that was made anew under the same name.
 */
export function requireSession(container: ContainerState, token: string | undefined): void {
  if (token === undefined) return;
  for (const part of token.split(',')) {
    const [, id, lsn] = /^([^:]+):(?:-?\d+#)?(\d+)/.exec(part.trim()) ?? [];
    const range = container.ranges.find((candidate) => candidate.id === id);
    if (range !== undefined && Number(lsn) > range.lsn)
      throw new CosmosError(404, 'The read session is not available for the input session token.', {
        subStatus: 1002,
      });
  }
}
