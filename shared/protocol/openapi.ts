import type { TSchema } from 'typebox';
import { ERRORS, type RequestErrorCode } from './errors.ts';
import { OPERATIONS, SyncRequestMessage, type Operation } from './operations.ts';
import { Problem } from './problem.ts';
import {
  CHANGE_SCHEMAS,
  ChangeError,
  ChangeResult,
  RemoteDocument,
  StreamPosition,
  SyncResponse,
} from './sync.ts';
import { AuditEntry, DenyEntry, DenyRequest } from './manage.ts';
import { ScopeToken, TokenRequest, TokenResponse } from './token.ts';
import { PROTOCOL_VERSION } from './version.ts';

type Json = string | number | boolean | null | Json[] | { [name: string]: Json };
type JsonObject = Record<string, Json>;

/** Schemas that other places refer to by name. Where two are alike in every word, the first name counts. */
const NAMED: Readonly<Record<string, TSchema>> = {
  Problem,
  SyncRequest: SyncRequestMessage,
  SyncResponse,
  Upsert: CHANGE_SCHEMAS.upsert,
  Patch: CHANGE_SCHEMAS.patch,
  Delete: CHANGE_SCHEMAS.delete,
  ChangeResult,
  ChangeError,
  RemoteDocument,
  StreamPosition,
  TokenRequest,
  ScopeToken,
  TokenResponse,
  DenyRequest,
  DenyEntry,
  AuditEntry,
};

/** Codes that any operation may answer with. */
const ALWAYS: readonly RequestErrorCode[] = ['method_not_allowed', 'internal_error'];
/** Codes that come with the bearer token. */
const OF_TOKEN: readonly RequestErrorCode[] = [
  'missing_token',
  'invalid_token',
  'token_expired',
  'user_id_unusable',
  'rate_limited',
  'insufficient_scope',
  'access_denied',
  'unavailable',
];
/** Codes that come with an operation for administrators. */
const OF_ADMIN: readonly RequestErrorCode[] = ['role_insufficient'];
/** Codes that come with a body. */
const OF_BODY: readonly RequestErrorCode[] = [
  'empty_body',
  'invalid_json',
  'unsupported_media_type',
  'unsupported_encoding',
  'body_too_large',
  'body_too_complex',
];

/**
 * The OpenAPI 3.1 description of the API: of the table of operations, the schemas of the messages and the table of
 * errors, and of nothing else.
 */
export function describeApi(operations: Readonly<Record<string, Operation>> = OPERATIONS): JsonObject {
  const names = new Map(
    Object.entries(NAMED)
      .map(([name, schema]) => [JSON.stringify(schema), name] as const)
      .reverse(),
  );
  const toJson = (schema: unknown): Json => JSON.parse(JSON.stringify(schema)) as Json;

  /** Puts a reference in the place of every schema that has a name. */
  const refer = (value: Json, isNamed = false): Json => {
    if (Array.isArray(value)) return value.map((item) => refer(item));
    if (typeof value !== 'object' || value === null) return value;
    const name = isNamed ? undefined : names.get(JSON.stringify(value));
    if (name !== undefined) return { $ref: `#/components/schemas/${name}` };
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, refer(item)]));
  };
  const schemaOf = (schema: TSchema): Json => refer(toJson(schema));

  const operationOf = (name: string, method: string, operation: Operation): JsonObject => {
    const { methods, parameters = {}, request, answer, caller } = operation;
    return {
      operationId: methods.length === 1 ? name : `${name}${method === 'GET' ? '' : 'By' + toTitle(method)}`,
      summary: operation.summary,
      description: operation.description,
      ...(caller === 'anybody' ? { security: [] } : {}),
      parameters: [
        ...Object.entries(parameters).map(([parameter, { schema, description }]) => {
          const isInPath = operation.path.includes(`{${parameter}}`);
          return {
            name: parameter,
            in: isInPath ? 'path' : 'query',
            required: isInPath,
            description,
            schema: schemaOf(schema),
          };
        }),
        { $ref: '#/components/parameters/RequestId' },
        ...(operation.isCacheable ? [{ $ref: '#/components/parameters/IfNoneMatch' }] : []),
      ],
      ...(request === undefined || method === 'GET'
        ? {}
        : {
            requestBody: {
              required: operation.isBodyOptional !== true,
              description: 'May be sent with `Content-Encoding: gzip`, `br` or `zstd`.',
              content: { 'application/json': { schema: schemaOf(request) } },
            },
          }),
      responses: {
        '200': {
          description: 'As asked.',
          headers: { ...HEADERS, ...(operation.isCacheable ? { ETag: reference('headers', 'ETag') } : {}) },
          content: { 'application/json': { schema: schemaOf(answer) } },
        },
        ...(operation.isCacheable
          ? {
              '304': {
                description: 'What the client has still stands.',
                headers: { ...HEADERS, ETag: reference('headers', 'ETag') },
              },
            }
          : {}),
        ...refusalsOf(operation),
      },
    };
  };

  return {
    openapi: '3.1.1',
    info: {
      title: 'Tidemark',
      version: String(PROTOCOL_VERSION),
      description:
        'Offline-first data sync for Azure Cosmos DB. docs/protocol.md explains the messages, docs/errors.md the codes.',
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: '/api' }],
    security: [{ bearer: [] }],
    paths: Object.fromEntries(
      Object.entries(operations).map(([name, operation]) => [
        `/${operation.path}`,
        Object.fromEntries(
          operation.methods.map((method) => [method.toLowerCase(), operationOf(name, method, operation)]),
        ),
      ]),
    ),
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
      },
      parameters: {
        RequestId: {
          name: 'x-request-id',
          in: 'header',
          description: 'Comes back with the answer. Other texts than these are replaced.',
          schema: { type: 'string', pattern: '^[A-Za-z0-9._-]{1,64}$' },
        },
        IfNoneMatch: {
          name: 'If-None-Match',
          in: 'header',
          description: 'The `ETag` of the answer that the client has.',
          schema: { type: 'string' },
        },
      },
      headers: {
        RequestId: {
          required: true,
          description: 'Names this call in the logs.',
          schema: { type: 'string' },
        },
        ETag: { required: true, description: 'Names this content.', schema: { type: 'string' } },
        RetryAfter: {
          required: true,
          description: 'Seconds to wait before the request is sent again.',
          schema: { type: 'integer', minimum: 1 },
        },
        WwwAuthenticate: { required: true, description: 'RFC 6750.', schema: { type: 'string' } },
      },
      schemas: Object.fromEntries(
        Object.entries(NAMED).map(([name, schema]) => [name, refer(toJson(schema), true)]),
      ),
    },
  };
}

const reference = (kind: string, name: string): JsonObject => ({ $ref: `#/components/${kind}/${name}` });

const HEADERS: JsonObject = { 'x-request-id': reference('headers', 'RequestId') };

/** Headers that always come with a status. */
const HEADERS_OF: Readonly<Record<number, JsonObject>> = {
  401: { 'WWW-Authenticate': reference('headers', 'WwwAuthenticate') },
  429: { 'Retry-After': reference('headers', 'RetryAfter') },
  503: { 'Retry-After': reference('headers', 'RetryAfter') },
};

/** A problem document for each status that the operation may refuse a request with, with the codes it may hold. */
function refusalsOf({ caller, request, errors = [] }: Operation): JsonObject {
  const codes = [
    ...ALWAYS,
    ...(caller === 'anybody' ? [] : OF_TOKEN),
    ...(caller === 'admin' ? OF_ADMIN : []),
    ...(request === undefined ? [] : OF_BODY),
    ...errors,
  ];
  const statuses = [...new Set(codes.map((code) => ERRORS[code].status))].sort((a, b) => a - b);
  return Object.fromEntries(
    statuses.map((status) => {
      const own = codes.filter((code) => ERRORS[code].status === status);
      return [
        String(status),
        {
          description: own.map((code) => `\`${code}\`: ${ERRORS[code].title}`).join('\n\n'),
          headers: { ...HEADERS, ...HEADERS_OF[status] },
          content: {
            'application/problem+json': {
              schema: {
                allOf: [
                  { $ref: '#/components/schemas/Problem' },
                  { properties: { status: { const: status }, code: { enum: own } } },
                ],
              },
            },
          },
        },
      ];
    }),
  );
}

const toTitle = (text: string): string => text.charAt(0) + text.slice(1).toLowerCase();
