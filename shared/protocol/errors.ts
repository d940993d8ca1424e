/**
 * Every error a client can meet, in one table. docs/errors.md mirrors it, and a test holds the two together.
 *
 * `where`: a `request` error refuses the whole request as a problem document (RFC 9457) with this status; a `change`
 * error stands in the `error` of one result and leaves its neighbours alone. A code's meaning never changes: a new
 * meaning gets a new code.
 */
interface ErrorEntry {
  readonly where: 'request' | 'change';
  /** HTTP status of a request error. */
  readonly status?: number;
  readonly title: string;
  /** May the very same request or change succeed later, unchanged? */
  readonly retryable: boolean;
  /** What the caller should do. */
  readonly remedy: string;
}

const request = (status: number, title: string, remedy: string, retryable = false) =>
  ({ where: 'request', status, title, retryable, remedy }) satisfies ErrorEntry;
const change = (title: string, remedy: string, retryable = false) =>
  ({ where: 'change', title, retryable, remedy }) satisfies ErrorEntry;

export const ERRORS = {
  // Who is calling
  missing_token: request(
    401,
    'The request carries no bearer token.',
    'Sign in, then send `Authorization: Bearer <JWT>`.',
  ),
  invalid_token: request(
    401,
    'The bearer token was not accepted.',
    'Get a new token from the identity provider for the audience of this service.',
  ),
  token_expired: request(401, 'The bearer token has expired.', 'Get a new token and repeat the request.'),
  insufficient_scope: request(
    403,
    'The bearer token lacks a scope that this service asks for.',
    'Ask the identity provider for the scopes that `WWW-Authenticate` names.',
  ),
  access_denied: request(
    403,
    'The user, the device or the token has been locked out by an administrator.',
    'Do not retry: ask an administrator. Local data and unsent edits stay as they are.',
  ),
  user_mismatch: request(
    403,
    'The userId in the body is not the user of the token.',
    'Send the edits of a user with a token of that user. Nothing was written.',
  ),
  user_id_unusable: request(
    403,
    'The user id in the token is empty or longer than 200 characters.',
    'Configure another claim as the user id (AUTH_USER_CLAIM).',
  ),

  scope_not_granted: request(
    403,
    'The token grants none, or not all, of the scopes that were asked for.',
    'Ask for scopes that the answer of a sync lists in `scopes`.',
  ),
  role_insufficient: request(
    403,
    'The role of the user does not allow this.',
    'Ask for less, or ask an administrator for another role.',
  ),
  rate_limited: request(
    429,
    'The user sends more requests than the limit.',
    'Wait for `Retry-After` seconds, then repeat the request. Send many changes in one request instead of one in each.',
    true,
  ),

  // What was sent
  not_found: request(
    404,
    'There is nothing at this address.',
    'Correct the path: `openapi.json` lists them.',
  ),
  method_not_allowed: request(
    405,
    'This address does not take this method.',
    'Use a method of the `Allow` header.',
  ),
  empty_body: request(400, 'The request has no body.', 'Send a JSON object.'),
  invalid_json: request(400, 'The body is not JSON.', 'Send one JSON object, encoded in UTF-8.'),
  unsupported_media_type: request(
    415,
    'The body is not declared as JSON.',
    'Send `Content-Type: application/json`.',
  ),
  unsupported_encoding: request(
    415,
    'The content encoding is not supported.',
    'Send the body plain, or encoded with gzip, br or zstd.',
  ),
  body_too_large: request(413, 'The body is larger than the limit.', 'Send fewer changes in one request.'),
  body_too_complex: request(
    413,
    'The body holds more objects, lists and properties than the limit.',
    'Send fewer changes in one request.',
  ),
  invalid_request: request(
    400,
    'The request does not fit the message schema.',
    'Correct the part that `pointer` names.',
  ),
  unsupported_protocol: request(
    400,
    'This protocol version is not spoken here.',
    'Send `protocol: 1`, or update the client.',
  ),
  too_many_changes: request(
    413,
    'The request holds more changes than the limit.',
    'Send the changes in several requests, in the order of their `seq`.',
  ),
  unknown_collection: request(
    400,
    'The collection is not configured on this service.',
    'Ask for collections of sync.config.json only.',
  ),
  too_many_scopes: request(
    400,
    'The request is about more scopes than the limit.',
    'Name some of them in `scopes`, and the others in the next requests.',
  ),
  invalid_continuation: request(
    400,
    'The continuation is none that this service wrote for this list.',
    'Ask for the first page again.',
  ),
  stream_out_of_order: request(
    400,
    'The `seq` numbers of a scope do not rise, or start at or below the one named in `streams`.',
    'Send the unanswered changes of a scope in the order in which they drew their numbers.',
  ),

  checkpoint_unusable: request(
    409,
    'The checkpoint belongs to another scope or another store, or cannot be read.',
    'Sync first: the answer of a sync brings a checkpoint to compare by.',
  ),
  conflict_not_found: request(
    404,
    'There is no such conflict in the log of this scope.',
    'Name the scope of the conflict, and its `id` as the log tells it. Records are kept until the retention ends.',
  ),
  restore_too_large: request(
    413,
    'What is put back does not fit into one batch beside what it replaces.',
    'Look at the current document first, then name its version in `baseVersion`.',
  ),

  // Resource tokens and administration
  mode_not_granted: request(
    403,
    'A token for writing is not given for this scope.',
    'Ask for `mode: "read"`, and send edits through POST /api/sync.',
  ),
  entry_not_found: request(
    404,
    'The deny list has no entry of this id.',
    'Look it up: GET /api/manage/denied.',
  ),
  deny_list_full: request(
    409,
    'The deny list holds as many entries as it can.',
    'Remove entries that are no longer needed, or take the role away at the identity provider.',
  ),
  token_service_disabled: request(
    501,
    'This service gives out no resource tokens.',
    'Sync through the gateway: POST /api/sync.',
  ),
  token_service_busy: request(
    503,
    'Too many new resource tokens are being asked for at this moment.',
    'Repeat the request after `Retry-After` seconds; a token that is still good may be used until then.',
    true,
  ),

  // What went wrong here
  unavailable: request(
    503,
    'The service cannot finish the request now.',
    'Repeat the very same request after `Retry-After` seconds: whatever was already written is recognised.',
    true,
  ),
  not_ready: request(
    503,
    'Something that the service leans on does not work.',
    'Look at `checks` and the logs. Syncs may fail until it is mended.',
    true,
  ),
  internal_error: request(
    500,
    'The service met an error of its own.',
    'Repeat the request; report the request id when it persists.',
    true,
  ),

  // One change among others
  invalid_change: change(
    'The change does not fit the message schema.',
    'Correct the part that `pointer` names and send it as a new change.',
  ),
  invalid_id: change(
    'The document id is empty, too long, not well-formed Unicode, or holds / \\ ? # or a control character.',
    'Choose another document id.',
  ),
  invalid_date: change(
    '`lastModified` is not a date and time in RFC 3339.',
    'Send UTC, for example 2026-11-21T10:00:00.000Z.',
  ),
  collection_unknown: change(
    'The collection of the change is not configured on this service.',
    'Send changes of the collections of sync.config.json only.',
  ),
  scope_forbidden: change(
    'The token does not grant this scope.',
    'Set the edit aside: the user may not write there.',
  ),
  read_only: change(
    'The token grants this scope for reading only.',
    'Set the edit aside: the user may not write there.',
  ),
  collection_out_of_scope: change(
    'The collection does not live in scopes of this kind.',
    'Send it with a scope of the kind that the collection is configured for.',
  ),
  document_too_large: change(
    'The document, or the base sent with it, is larger than the limit (921,600 bytes as JSON in UTF-8, unless configured lower).',
    'Split the document; keep large content elsewhere.',
  ),
  not_storable: change(
    'Cosmos DB does not take the document.',
    'Change its content; report the change when nothing seems wrong with it.',
  ),
  too_deep: change('The document is nested deeper than 64 levels.', 'Flatten the document.'),
  forbidden_key: change('The document has a property named `__proto__`.', 'Rename the property.'),
  malformed_text: change(
    'A text or a property name in the document is not well-formed Unicode.',
    'Remove the unpaired surrogate: it has no UTF-8 form.',
  ),
  number_out_of_range: change(
    'The document holds a number beyond the range of a 64-bit float.',
    'Send such numbers as text.',
  ),
  transaction_split: change(
    'The changes of a transaction are not one after the other in one scope.',
    'Send the changes of a transaction in one request, in one scope, with nothing between them.',
  ),
  transaction_too_large: change(
    'The transaction does not fit into one batch of Cosmos DB: 99 writes with their records, 2 MB.',
    'Send fewer changes in one transaction: 49 always fit by count, 33 where deletes are audited.',
  ),
  transaction_rejected: change(
    'Another change of the transaction was refused, or lost against a concurrent write; `culprit` names it.',
    'Correct that change, or make the edits again on the current documents.',
  ),
  schema_violation: change(
    'The document does not fit the JSON Schema of its collection.',
    'Correct the part that `pointer` names; `rule` is the keyword of the schema.',
  ),
  rule_violation: change(
    'The document breaks a rule of the application.',
    'Correct the part that `pointer` names; `rule` names the rule.',
  ),
  rules_unavailable: change(
    'The rules of the application could not be asked about the document, or took too long.',
    'Send it again later, as a new change.',
    true,
  ),
  dependency: change(
    'An earlier change of the same document in this request was rejected, and this patch builds on it.',
    'Correct the earlier change first.',
  ),
  rejected_earlier: change(
    'The change was rejected when it was first sent; the reason is no longer known.',
    'Make the edit again on the current document.',
  ),
  device_forked: change(
    'Another store uses the same device id: a clone, or one restored from a backup.',
    'Take a new device id, start over, and send the pending edits under it.',
  ),
  contended: change(
    'Others kept writing the document faster than this change could be placed.',
    'Send it again as a new change.',
  ),
} as const satisfies Record<string, ErrorEntry>;

export type ErrorCode = keyof typeof ERRORS;
export type RequestErrorCode = {
  [C in ErrorCode]: (typeof ERRORS)[C]['where'] extends 'request' ? C : never;
}[ErrorCode];
export type ChangeErrorCode = Exclude<ErrorCode, RequestErrorCode>;
