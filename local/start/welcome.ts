import type { Stack } from '../stack.ts';

/** Seconds that the printed token lives: a day's work. */
export const TOKEN_LIFETIME = 43_200;

/** The one line for programs. */
export function toJsonLine({ api, issuer, cosmosEndpoint, cosmosKey }: Stack): string {
  return `${JSON.stringify({ api, issuer, cosmosEndpoint, cosmosKey })}\n`;
}

/**
 * What a person needs next. Both commands hold the whole token, so that each works pasted on its own.
 *
 * @param now milliseconds since 1970, for the change in the example.
 */
export function toPage(stack: Stack, token: string, dataDir: string, now: number): string {
  const authorization = `-H 'Authorization: Bearer ${token}'`;
  const request = {
    protocol: 1,
    deviceId: 'laptop-1',
    changes: [
      {
        type: 'upsert',
        collection: 'items',
        documentId: '42',
        lastModified: new Date(now).toISOString(),
        data: { title: 'Hello, tide' },
      },
    ],
  };
  return `
Tidemark is running. Ctrl-C ends it.

  API         ${stack.api}
  Cosmos DB   ${stack.cosmosEndpoint}
              key ${stack.cosmosKey}
  Issuer      ${stack.issuer}
  Data        ${dataDir}

A token for the user "alice", good for ${TOKEN_LIFETIME / 3_600} hours:

${token}

Get a Cosmos DB resource token for alice's partition:

curl -s ${stack.api}/GetCosmosToken ${authorization}

Send a change and get everything new in the same answer:

curl -s ${stack.api}/sync ${authorization} -H 'Content-Type: application/json' -d '${JSON.stringify(request)}'

A token for somebody else:

curl -s ${stack.issuer}/token -d sub=bob

`;
}
