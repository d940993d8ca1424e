import { Type, type Static } from 'typebox';

const Mode = Type.Union([Type.Literal('read'), Type.Literal('all')]);

/**
 * What is asked of `POST /api/GetCosmosToken`, in the body; `GET` takes the same in the query, `scopes` as one text with
 * commas or repeated. Everything is optional: without it the answer is a token for the own private scope.
 */
export const TokenRequest = Type.Object(
  {
    scopes: Type.Optional(
      Type.Array(Type.String({ minLength: 1, maxLength: 400 }), {
        minItems: 1,
        maxItems: 20,
        description: 'The scopes to open, one token for each. The default is the own private scope.',
      }),
    ),
    mode: Type.Optional(
      Type.Union([Type.Literal('read'), Type.Literal('all')], {
        description: 'What the tokens are for. The default is as much as is allowed in each scope.',
      }),
    ),
    lifetime: Type.Optional(
      Type.Integer({
        minimum: 600,
        maximum: 86_400,
        description: 'The tokens live no longer than this, in seconds, and than the service allows.',
      }),
    ),
    userId: Type.Optional(
      Type.String({
        maxLength: 400,
        description: 'Grants nothing; another user than the token’s is refused.',
      }),
    ),
    deviceId: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 64,
        description: 'The device that asks, for the audit and the deny list.',
      }),
    ),
  },
  { additionalProperties: false },
);
export type TokenRequest = Static<typeof TokenRequest>;

const scopeToken = {
  token: Type.String({ description: 'The Cosmos DB resource token. Opaque; keep it secret.' }),
  endpoint: Type.String({ description: 'The Cosmos DB account it is for.' }),
  database: Type.String(),
  container: Type.String(),
  partitionKey: Type.Array(Type.String(), { description: 'The one partition it opens.' }),
  scope: Type.String(),
  userId: Type.String(),
  mode: Mode,
  expiresAt: Type.String({ description: 'When the token ends, RFC 3339.' }),
  refreshAfter: Type.String({ description: 'When to ask for the next one, RFC 3339.' }),
};

/** One resource token: it opens one scope. */
export const ScopeToken = Type.Object(scopeToken);
export type ScopeToken = Static<typeof ScopeToken>;

/** What `GET` and `POST /api/GetCosmosToken` answer. */
export const TokenResponse = Type.Object({
  ...scopeToken,
  tokens: Type.Optional(
    Type.Array(ScopeToken, {
      description:
        'Where scopes were asked for: a token for each, in that order. The first is also beside it.',
    }),
  ),
});
export type TokenResponse = Static<typeof TokenResponse>;
