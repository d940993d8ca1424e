import { Type, type TSchema } from 'typebox';
import type { RequestErrorCode } from './errors.ts';
import { Health, Readiness } from './health.ts';
import { IntegrityAnswer, IntegrityDocuments, IntegrityQuery, IntegrityRequest } from './integrity.ts';
import { OperationPage, OperationQuery } from './operation-log.ts';
import { ConflictPage, DeletionPage, RecordQuery, RestoreAnswer, RestoreRequest } from './record-log.ts';
import { CHANGE_SCHEMAS, SyncEnvelope, SyncResponse } from './sync.ts';
import {
  AllowRequest,
  AllowResponse,
  AuditQuery,
  AuditResponse,
  DenyEntry,
  DenyListResponse,
  DenyRequest,
} from './manage.ts';
import { TokenRequest, TokenResponse } from './token.ts';

/**
 * Every operation of the API, in one table: the functions take their route and methods from it, and the OpenAPI
 * description is made of it. A new endpoint is a line here and a file in functions/.
 */
export interface Operation {
  /** Below `/api/`; parameters in braces. */
  readonly path: string;
  readonly methods: readonly ('GET' | 'POST')[];
  readonly summary: string;
  readonly description: string;
  /** Who may call it. `anybody`: no bearer token is read. */
  readonly caller: 'anybody' | 'user' | 'admin';
  /** In the path where `path` names it, otherwise in the query. */
  readonly parameters?: Readonly<Record<string, Parameter>>;
  /** The JSON body, except of GET; absent: none is read. */
  readonly request?: TSchema;
  readonly isBodyOptional?: boolean;
  /** The JSON body of the answer with status 200. */
  readonly answer: TSchema;
  /** May a client keep the answer and ask with `If-None-Match` whether it still stands? */
  readonly isCacheable?: boolean;
  /** Codes that it refuses a request with, beyond those that come with its caller and its body. */
  readonly errors?: readonly RequestErrorCode[];
}

export interface Parameter {
  readonly schema: TSchema;
  readonly description: string;
}

/** A sync request as it is published: the service itself checks the changes one by one. */
export const SyncRequestMessage = Type.Object(
  {
    ...SyncEnvelope.properties,
    changes: Type.Optional(
      Type.Array(Type.Union([CHANGE_SCHEMAS.upsert, CHANGE_SCHEMAS.patch, CHANGE_SCHEMAS.delete])),
    ),
  },
  { additionalProperties: false },
);

/** The parameters of a query are the properties of its schema. */
const parametersOf = (query: {
  readonly properties: Readonly<Record<string, TSchema & { readonly description?: string }>>;
}): Record<string, Parameter> =>
  Object.fromEntries(
    Object.entries(query.properties).map(([name, schema]) => [
      name,
      { schema, description: schema.description ?? '' },
    ]),
  );

export const OPERATIONS = {
  Sync: {
    path: 'sync',
    methods: ['POST'],
    summary: "Take in a device's changes and answer with what it has not seen",
    description:
      'Sent again as it was, a request changes nothing: what was taken in is recognised. One bad change is rejected alone.',
    caller: 'user',
    request: SyncRequestMessage,
    answer: SyncResponse,
    errors: [
      'invalid_request',
      'unsupported_protocol',
      'user_mismatch',
      'unknown_collection',
      'too_many_changes',
      'too_many_scopes',
      'stream_out_of_order',
    ],
  },
  ListConflicts: {
    path: 'sync/conflicts',
    methods: ['GET'],
    summary: 'The conflict log',
    description:
      'Versions that lost against a concurrent write, kept until the retention ends: scope after scope, within a scope the newest first.',
    caller: 'user',
    parameters: parametersOf(RecordQuery),
    answer: ConflictPage,
    isCacheable: true,
    errors: ['invalid_request', 'invalid_continuation', 'scope_not_granted'],
  },
  RestoreConflict: {
    path: 'sync/conflicts/{id}/restore',
    methods: ['POST'],
    summary: 'Put a version back that lost a conflict',
    description:
      'A new edit of the caller on what is stored now. What it replaces goes to the conflict log. Done once: a repeat changes nothing.',
    caller: 'user',
    parameters: {
      id: {
        schema: Type.String(),
        description: 'The `id` of the conflict, as the conflict log tells it.',
      },
    },
    request: RestoreRequest,
    answer: RestoreAnswer,
    errors: [
      'invalid_request',
      'scope_not_granted',
      'role_insufficient',
      'conflict_not_found',
      'restore_too_large',
    ],
  },
  ListDeletions: {
    path: 'sync/deletions',
    methods: ['GET'],
    summary: 'The deletion log',
    description:
      'What deletes in audited collections removed, kept until the retention ends: scope after scope, within a scope the newest first.',
    caller: 'user',
    parameters: parametersOf(RecordQuery),
    answer: DeletionPage,
    isCacheable: true,
    errors: ['invalid_request', 'invalid_continuation', 'scope_not_granted'],
  },
  CompareChecksums: {
    path: 'sync/integrity',
    methods: ['GET'],
    summary: 'Checksums over the documents of a scope',
    description:
      'For a client to compare with its own, bucket by bucket. Reads the whole scope, some pages in each answer; the answers are added.',
    caller: 'user',
    parameters: parametersOf(IntegrityQuery),
    answer: IntegrityAnswer,
    isCacheable: true,
    errors: [
      'invalid_request',
      'invalid_continuation',
      'scope_not_granted',
      'unknown_collection',
      'checkpoint_unusable',
    ],
  },
  FetchBuckets: {
    path: 'sync/integrity/documents',
    methods: ['POST'],
    summary: 'The documents of some buckets',
    description:
      'Ids and versions of the documents in buckets that differ; then the documents that are missing, by id.',
    caller: 'user',
    request: IntegrityRequest,
    answer: IntegrityDocuments,
    errors: ['invalid_request', 'invalid_continuation', 'scope_not_granted', 'unknown_collection'],
  },
  ListOperations: {
    path: 'sync/operations',
    methods: ['GET'],
    summary: 'The operation log',
    description:
      "What the caller's devices synced, newest first; for an administrator what everybody's did. Written in the background: a sync shows after some seconds.",
    caller: 'user',
    parameters: parametersOf(OperationQuery),
    answer: OperationPage,
    isCacheable: true,
    errors: ['invalid_request', 'invalid_continuation', 'role_insufficient'],
  },
  GetCosmosToken: {
    path: 'GetCosmosToken',
    methods: ['GET', 'POST'],
    summary: 'Get Cosmos DB resource tokens',
    description:
      "A token opens one scope and nothing else: the caller's own, or those that are asked for. GET takes the query, POST the body, or the query where there is no body.",
    caller: 'user',
    parameters: parametersOf(TokenRequest),
    request: TokenRequest,
    isBodyOptional: true,
    answer: TokenResponse,
    errors: [
      'invalid_request',
      'user_mismatch',
      'scope_not_granted',
      'mode_not_granted',
      'token_service_disabled',
      'token_service_busy',
    ],
  },
  ManageAudit: {
    // Routes that begin with `admin` are the Functions host's own: it refuses to start a function there.
    path: 'manage/audit',
    methods: ['GET'],
    summary: 'Who got, wanted or was refused what',
    description: 'Lines of the audit, newest first, a page at a time. They are written within seconds.',
    caller: 'admin',
    parameters: parametersOf(AuditQuery),
    answer: AuditResponse,
    errors: ['invalid_request', 'invalid_continuation'],
  },
  ManageDenied: {
    path: 'manage/denied',
    methods: ['GET'],
    summary: 'Who is locked out',
    description: 'The entries of the deny list that are in force.',
    caller: 'admin',
    answer: DenyListResponse,
  },
  ManageDeny: {
    path: 'manage/deny',
    methods: ['POST'],
    summary: 'Lock out a user, a device or a bearer token',
    description:
      'Until a time. They get no new resource tokens and may not sync. A resource token that is out already lives on until it ends.',
    caller: 'admin',
    request: DenyRequest,
    answer: DenyEntry,
    errors: ['invalid_request', 'deny_list_full'],
  },
  ManageAllow: {
    path: 'manage/allow',
    methods: ['POST'],
    summary: 'End an entry of the deny list',
    description: 'What was locked out may come in again.',
    caller: 'admin',
    request: AllowRequest,
    answer: AllowResponse,
    errors: ['invalid_request', 'entry_not_found'],
  },
  Ready: {
    path: 'ready',
    methods: ['GET'],
    summary: 'Can the service do its work?',
    description:
      'Tries what it leans on, each for a limited time. For administrators: it says what is wrong, and every call costs a little.',
    caller: 'admin',
    answer: Readiness,
    errors: ['role_insufficient', 'not_ready'],
  },
  Health: {
    path: 'health',
    methods: ['GET'],
    summary: 'Is the process up?',
    description: 'Asks nothing else: not Cosmos DB, not the identity provider.',
    caller: 'anybody',
    answer: Health,
  },
  OpenApi: {
    path: 'openapi.json',
    methods: ['GET'],
    summary: 'This API as OpenAPI 3.1',
    description: 'Made of the schemas that the service checks messages by.',
    caller: 'anybody',
    answer: Type.Object({ openapi: Type.String() }, { description: 'An OpenAPI 3.1 document.' }),
    isCacheable: true,
  },
} as const satisfies Record<string, Operation>;

export type OperationName = keyof typeof OPERATIONS;
