import type { Identity } from '../auth/identity.ts';
import { GATEWAY_DEVICE, isJsonObject } from '../conflict/index.ts';
import { RequestError } from '../errors.ts';
import { parseDateTime, PROTOCOL_VERSION, SyncEnvelope, type StreamPosition } from '../protocol/index.ts';
import { compileSchema } from '../validation/validator.ts';
import type { Prepared } from './prepare.ts';
import type { SyncConfig } from './sync-config.ts';

const checkEnvelope = compileSchema(SyncEnvelope);

/**
 * Checks what concerns a request as a whole. Its changes are checked one by one later.
 *
 * @throws RequestError
 */
export function parseRequest(body: unknown, config: SyncConfig, identity: Identity): SyncEnvelope {
  if (!isJsonObject(body))
    throw new RequestError('invalid_request', { detail: 'The body is not a JSON object.' });
  // Asked before the schema: a client of another version gets told that, not that its fields are unknown.
  if (body['protocol'] !== PROTOCOL_VERSION) {
    throw new RequestError(body['protocol'] === undefined ? 'invalid_request' : 'unsupported_protocol', {
      pointer: '/protocol',
      detail: `This service speaks protocol ${PROTOCOL_VERSION}; send \`protocol: ${PROTOCOL_VERSION}\`.`,
    });
  }
  const fault = checkEnvelope(body);
  if (fault !== null) {
    throw new RequestError('invalid_request', {
      pointer: fault.pointer,
      detail: `\`${fault.pointer}\` ${fault.reason}.`,
    });
  }
  const request = body as SyncEnvelope;
  if (
    request.userId !== undefined &&
    request.userId !== identity.userId &&
    request.userId !== identity.claimedId
  ) {
    throw new RequestError('user_mismatch');
  }
  if (request.deviceId === GATEWAY_DEVICE) {
    throw new RequestError('invalid_request', {
      pointer: '/deviceId',
      detail: '`gateway` is no name for a device.',
    });
  }
  for (const name of ['clientTime', 'since'] as const) {
    const text = request[name];
    if (text === undefined || parseDateTime(text) !== null) continue;
    throw new RequestError('invalid_request', {
      pointer: `/${name}`,
      detail: `\`/${name}\` is no date in RFC 3339.`,
    });
  }
  const unknown = request.collections?.find((name) => !config.collections.has(name));
  if (unknown !== undefined) {
    throw new RequestError('unknown_collection', {
      pointer: '/collections',
      detail: `The collection \`${unknown}\` is not configured on this service.`,
    });
  }
  const { maxChanges } = config.limits;
  if ((request.changes?.length ?? 0) > maxChanges) {
    throw new RequestError('too_many_changes', {
      pointer: '/changes',
      detail: `A request may hold ${maxChanges} changes.`,
    });
  }
  return request;
}

/**
 * In each scope the numbers rise, and all of them lie behind the one the client names as its ledger's: otherwise
 * "everything is new" could not be told from a repeat.
 *
 * @throws RequestError
 */
export function checkStreams(
  changes: readonly Prepared[],
  claims: ReadonlyMap<string, StreamPosition | null>,
): void {
  const last = new Map([...claims].map(([scope, claim]) => [scope, claim?.seq ?? 0]));
  for (const { position, scope, index } of changes) {
    if (position === null) continue;
    if (position.seq <= (last.get(scope) ?? 0)) {
      throw new RequestError('stream_out_of_order', { pointer: `/changes/${index}/seq` });
    }
    last.set(scope, position.seq);
  }
}
