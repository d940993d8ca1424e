import type { Container, JSONObject, OperationInput, SqlParameter } from '@azure/cosmos';
import type { ActivityRecord, StoredRecord } from '../activity/record.ts';
import type { ActivityStore } from '../activity/store.ts';
import { isJsonObject } from '../conflict/index.ts';
import { Unavailable } from '../errors.ts';
import { attempt } from './attempt.ts';

/** Longest time a call may take: a log is no reason to hold up anybody. */
const CALL_MS = 10_000;

/**
 * The container `activity` through the SDK.
 *
 * Requests: `append`, `put`, `get` and `remove` one each; they go to the user's partition. A single write is sent as a
 * batch, too: the SDK's `upsert` reads the container first, which is metadata throughput. `list` of one user sends the
 * query and, as every query of the SDK does, asks for its plan; of all users it asks each physical partition, and the
 * SDK reads the container and its partition ranges once for each client.
 */
export function createActivityStore(open: () => Promise<Container>): ActivityStore {
  const write = async (userId: string, operations: OperationInput[]): Promise<void> => {
    const container = await open();
    const response = await attempt('writing activity', AbortSignal.timeout(CALL_MS), (abortSignal) =>
      container.items.batch(operations, [userId], { contentResponseOnWriteEnabled: false, abortSignal }),
    );
    const refused = response.result?.find(({ statusCode }) => statusCode >= 400 && statusCode !== 424);
    if (refused !== undefined) throw new Unavailable(`Cosmos DB, writing activity: ${refused.statusCode}`);
  };

  return {
    async append(records) {
      const [first] = records;
      if (first === undefined) return;
      await write(
        first.userId,
        records.map((record) => ({ operationType: 'Upsert', resourceBody: bodyOf(record) })),
      );
    },

    put: (record) => write(record.userId, [{ operationType: 'Upsert', resourceBody: bodyOf(record) }]),

    async get(userId, id) {
      const container = await open();
      // A read of what is not there resolves, without a resource.
      const { resource } = await attempt('reading activity', AbortSignal.timeout(CALL_MS), (abortSignal) =>
        container.item(id, userId).read<Record<string, unknown>>({ abortSignal }),
      );
      return toRecord(resource);
    },

    async remove(userId, id) {
      const container = await open();
      const done = await attempt(
        'removing activity',
        AbortSignal.timeout(CALL_MS),
        (abortSignal) => container.item(id, userId).delete({ abortSignal }),
        404,
      );
      return done !== null;
    },

    async list({ kind, userId, limit, cursor }) {
      const container = await open();
      const parameters: SqlParameter[] = [{ name: '@kind', value: kind }];
      // What is no record is left out here, and not later: a page that comes back shorter would look like the last one.
      let where = 'c.kind = @kind AND IS_STRING(c.at) AND IS_NUMBER(c.ttl)';
      if (cursor !== null) {
        where += ' AND c.at <= @at AND NOT ARRAY_CONTAINS(@seen, c.id)';
        parameters.push({ name: '@at', value: cursor.at }, { name: '@seen', value: [...cursor.seen] });
      }
      const query = {
        query: `SELECT TOP ${Math.trunc(limit)} * FROM c WHERE ${where} ORDER BY c.at DESC`,
        parameters,
      };
      const { resources } = await attempt('listing activity', AbortSignal.timeout(CALL_MS), (abortSignal) =>
        container.items
          .query<unknown>(query, {
            maxItemCount: limit,
            abortSignal,
            ...(userId === null ? {} : { partitionKey: [userId] }),
          })
          .fetchAll(),
      );
      return resources.map(toRecord).filter((record) => record !== null);
    },
  };
}

const bodyOf = (record: ActivityRecord): JSONObject => ({ ...record });

/** What Cosmos DB adds to every item is no part of a record. */
function toRecord(item: unknown): StoredRecord | null {
  if (!isJsonObject(item)) return null;
  const { id, userId, kind, at, ttl } = item;
  if (typeof id !== 'string' || typeof userId !== 'string' || typeof kind !== 'string') return null;
  if (typeof at !== 'string' || typeof ttl !== 'number') return null;
  const own = Object.entries(item).filter(([name]) => !name.startsWith('_'));
  return { ...Object.fromEntries(own), id, userId, kind, at, ttl };
}
