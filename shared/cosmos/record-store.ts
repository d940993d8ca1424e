import type { Container } from '@azure/cosmos';
import { isJsonObject, type JsonObject } from '../conflict/index.ts';
import type { RecordStore } from '../sync/record-store.ts';
import { attempt } from './attempt.ts';

const CALL_MS = 20_000;

/**
 * Records are found by `id` and sorted by `_ts`: Cosmos DB indexes both whatever the policy says. A path that only
 * records carry would not do: "All explicitly included paths have values added to the index for each item in the
 * container, even if the path is undefined" (documentation, indexing policies), so every write would pay for it.
 */
export const createRecordStore = (open: () => Promise<Container>): RecordStore => ({
  async list({ scope, prefix, collection, documentId, continuation, limit }) {
    const container = await open();
    const filters = { collection, documentId };
    const given = Object.entries(filters).filter(([, value]) => value !== undefined);
    const query = {
      query: `SELECT * FROM c WHERE STARTSWITH(c.id, @prefix)${given.map(([name]) => ` AND c.${name} = @${name}`).join('')} ORDER BY c._ts DESC`,
      parameters: [
        { name: '@prefix', value: prefix },
        ...given.map(([name, value]) => ({ name: `@${name}`, value: value ?? null })),
      ],
    };
    // A continuation came from a client: that the store does not understand it is no fault of ours.
    const page = await attempt(
      'listing records',
      AbortSignal.timeout(CALL_MS),
      (abortSignal) =>
        container.items
          .query<unknown>(query, {
            partitionKey: [scope],
            maxItemCount: limit,
            abortSignal,
            ...(continuation === null ? {} : { continuationToken: continuation }),
          })
          .fetchNext(),
      400,
    );
    if (page === null) return null;
    return {
      items: page.resources.filter(isJsonObject).sort(newestFirst),
      continuation: page.continuationToken || null,
    };
  },
});

/** `_ts` counts seconds; within one, the records of a page are put in order by their own time. */
const newestFirst = (a: JsonObject, b: JsonObject): number =>
  Number(b['_ts']) - Number(a['_ts']) || compareText(String(b['at']), String(a['at']));

const compareText = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
