import { Type, type Static } from 'typebox';

/** What `GET` and `POST /api/GetCosmosToken` answer. */
export const TokenResponse = Type.Object({
  token: Type.String({ description: 'The Cosmos DB resource token. Opaque; keep it secret.' }),
  endpoint: Type.String({ description: 'The Cosmos DB account it is for.' }),
  database: Type.String(),
  container: Type.String(),
  partitionKey: Type.Array(Type.String(), { description: 'The one partition it opens.' }),
  scope: Type.String(),
  userId: Type.String(),
  mode: Type.Union([Type.Literal('read'), Type.Literal('all')]),
  expiresAt: Type.String({ description: 'When the token ends, RFC 3339.' }),
  refreshAfter: Type.String({ description: 'When to ask for the next one, RFC 3339.' }),
});
export type TokenResponse = Static<typeof TokenResponse>;
