import type { Database, SqlConnection } from '../../client/src/index.ts';
import type { Composed } from '../../client/src/core/exchange.ts';
import type { SyncResponse } from '../../shared/protocol/index.ts';
import { createMemoryGround, PALETTE } from './grounds.ts';
import { printHistory } from './history.ts';
import { createSdkDevices, type SdkSeams } from './sdk-client.ts';
import { search, shrink, type Play } from './search.ts';
import { play } from './world.ts';

/**
 * Bugs planted in the SDK, around its database and below it: each is caught within 500 histories. `CHECKER_PRINT=1` prints
 * the shrunk history that caught it.
 */
const LIMIT = 500;
const PRINT = process.env['CHECKER_PRINT'] !== undefined;

interface Taken {
  readonly database: Database;
  readonly connection: SqlConnection;
  readonly userId: string;
  readonly composed: Composed;
  readonly response: SyncResponse;
}

const ofTake = (
  mutate: (given: Taken, take: () => ReturnType<Database['take']>) => ReturnType<Database['take']>,
): SdkSeams => ({
  database: (database, connection, userId) => ({
    ...database,
    take: (...given) => {
      const [, composed, response] = given;
      return mutate({ database, connection, userId, composed, response }, () => database.take(...given));
    },
  }),
});

const afterTake = (mutate: (given: Taken) => unknown): SdkSeams =>
  ofTake(async (given, take) => {
    const taken = await take();
    await mutate(given);
    return taken;
  });

const SDK_MUTANTS: readonly (readonly [name: string, seams: SdkSeams])[] = [
  [
    'an answer clears what waits for its document, an edit made since included',
    afterTake(({ connection, userId, composed }) => {
      for (const { scope = '', collection, documentId } of composed.request.changes ?? [])
        connection.run(`DELETE FROM PendingChanges_${collection} WHERE UserId = ? AND Scope = ? AND ID = ?`, [
          userId,
          scope,
          documentId,
        ]);
    }),
  ],
  [
    'what arrives becomes the base of the edit that waits',
    afterTake(({ connection, userId, response }) => {
      for (const { scope, collection, documentId, version } of response.delta.documents)
        connection.run(
          `UPDATE PendingChanges_${collection} SET BaseVersion = ? WHERE UserId = ? AND Scope = ? AND ID = ? AND Type IS NOT NULL`,
          [version, userId, scope, documentId],
        );
    }),
  ],
  [
    'what the service sends is tracked as an edit',
    afterTake(async ({ database, userId, response }) => {
      for (const { scope, collection, documentId, data } of response.delta.documents) {
        if (data === null) continue;
        const documents = [{ documentId, content: JSON.stringify(data) }];
        await database.write(userId, [{ kind: 'upsert', scope, collection, documents, track: true }], []);
      }
    }),
  ],
  [
    'an answer is taken in statement by statement',
    {
      connection: (connection) => ({
        run: (sql, params) => (/^(BEGIN|COMMIT|ROLLBACK)/.test(sql) ? 0 : connection.run(sql, params)),
        all: (sql, params) => connection.all(sql, params),
        exec: (sql) => connection.exec(sql),
        close: () => connection.close(),
      }),
    },
  ],
  ['what is sent is not written down first', forgetsWhatItSends()],
  [
    'rejected edits are dropped',
    afterTake(({ connection }) => connection.run('DELETE FROM Tidemark_Rejected')),
  ],
  [
    'edits in a scope that was lost are dropped',
    afterTake(({ connection }) => connection.run('DELETE FROM Tidemark_SetAside')),
  ],
  [
    'a copy keeps the device id of its original',
    ofTake(async ({ connection, userId }, take) => {
      const sql = 'SELECT DeviceId FROM Tidemark_Users WHERE UserId = ?';
      const [before] = connection.all(sql, [userId]);
      const taken = await take();
      connection.run('UPDATE Tidemark_Users SET DeviceId = ? WHERE UserId = ?', [
        before?.['DeviceId'] ?? '',
        userId,
      ]);
      return taken;
    }),
  ],
];

function forgetsWhatItSends(): SdkSeams {
  let composing = false;
  return {
    connection: (connection) => ({
      run: (sql, params) => connection.run(composing && sql === 'COMMIT' ? 'ROLLBACK' : sql, params),
      all: (sql, params) => connection.all(sql, params),
      exec: (sql) => connection.exec(sql),
      close: () => connection.close(),
    }),
    database: (database) => ({
      ...database,
      compose: async (...given) => {
        composing = true;
        try {
          return await database.compose(...given);
        } finally {
          composing = false;
        }
      },
    }),
  };
}

it.each(SDK_MUTANTS)(
  'catches: %s',
  async (name, seams) => {
    const mutated: Play = async (history) => {
      const devices = createSdkDevices(seams);
      try {
        await play(history, createMemoryGround(), devices.create);
      } finally {
        await devices.dispose();
      }
    };
    const failure = await search(mutated, PALETTE, { from: 1, count: LIMIT });
    expect(failure).not.toBeNull();
    process.stdout.write(`after ${failure!.after} histories: ${name}\n`);
    if (!PRINT) return;
    const { history, violation } = await shrink(mutated, failure!);
    process.stdout.write(`${violation.message}\n${printHistory(history)}\n\n`);
  },
  300_000,
);
