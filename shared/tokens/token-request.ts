import type { Identity } from '../auth/identity.ts';
import { RequestError } from '../errors.ts';
import { TokenRequest } from '../protocol/index.ts';
import { parseBody } from '../validation/parse-body.ts';

const parse = parseBody(TokenRequest);

/**
 * Checks what a caller asks the broker for.
 *
 * @param content the parsed body, or what `readQuery` made of the query
 * @throws RequestError
 */
export function parseTokenRequest(content: unknown, identity: Identity): TokenRequest {
  const request = parse(content);
  const { userId } = request;
  if (userId !== undefined && userId !== identity.userId && userId !== identity.claimedId) {
    throw new RequestError('user_mismatch');
  }
  return request;
}
