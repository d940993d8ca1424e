import { isJsonObject, type JsonObject } from '../../../shared/conflict/json.ts';
import { mergePatch } from '../../../shared/conflict/merge-patch.ts';
import type { Change, ChangeError, RemoteDocument, SyncResponse } from '../../../shared/protocol/sync.ts';
import {
  addDocument,
  bucketOf,
  emptyChecksum,
  formatBucket,
  formatChecksum,
  type ChecksumText,
} from '../../../shared/protocol/checksum.ts';
import {
  composeRequest,
  startOver,
  takeAnswer,
  takeBack,
  type Composed,
  type RequestOptions,
  type Taken,
} from '../core/exchange.ts';
import { presumedOwnScope } from '../core/own-scope.ts';
import type { Address } from '../core/row-store.ts';
import { TidemarkError } from '../errors.ts';
import { discard, edit, isPending, receive } from '../row.ts';
import {
  numberOf,
  quoteName,
  textOf,
  transaction,
  type SqlConnection,
  type SqlRow,
  type SqlValue,
} from './connection.ts';
import type { Model } from './model.ts';
import { compileQuery, type PlainQuery } from './query.ts';
import { knownModels, migrate, pendingTable, readMeta, writeMeta } from './schema.ts';
import { SqlRowStore, statementsOf, type NewContent, type RowSession } from './sql-row-store.ts';

/** A document with what the store knows of it. */
export interface StoredDocument {
  readonly documentId: string;
  readonly scope: string;
  readonly content: JsonObject;
  readonly lastModified: string;
}

/** One local write. */
export type LocalEdit = {
  readonly collection: string;
  /** Null: the user's own. */
  readonly scope: string | null;
} & (
  | {
      readonly kind: 'upsert';
      readonly documents: readonly NewContent[];
      /** False: the edit is not sent. The next version from the service replaces it. */
      readonly track: boolean;
    }
  | { readonly kind: 'patch'; readonly documentId: string; readonly data: JsonObject }
  | { readonly kind: 'delete'; readonly documentId: string }
);

const idsOf = (made: LocalEdit): string[] =>
  made.kind === 'upsert' ? made.documents.map(({ documentId }) => documentId) : [made.documentId];

type LocalUpsert = Extract<LocalEdit, { readonly kind: 'upsert' }>;

/** What a transaction has read: it holds only while that stands. */
export interface Expected {
  readonly collection: string;
  readonly scope: string | null;
  readonly documentId: string;
  /** As JSON text; null: nothing. */
  readonly content: string | null;
}

export interface PendingEdit {
  readonly address: Address;
  readonly type: 'upsert' | 'patch' | 'delete';
  /** When the oldest edit in it was made. */
  readonly since: string;
  /** Has it been sent, without an answer so far? */
  readonly sent: boolean;
  readonly content: JsonObject | null;
}

export interface RejectedEdit {
  readonly changeId: string;
  readonly address: Address;
  readonly type: Change['type'];
  /** What the user had written; null: had deleted. */
  readonly content: JsonObject | null;
  readonly error: ChangeError;
  readonly at: string;
  /** Edits with one name were sent as one transaction, and were refused together. */
  readonly transaction: string | null;
}

export interface SetAsideEdit {
  readonly number: number;
  readonly address: Address;
  readonly content: JsonObject | null;
  readonly at: string;
}

export interface ConflictEntry {
  readonly number: number;
  readonly address: Address;
  readonly outcome: 'merged' | 'skipped';
  readonly mine: JsonObject | null;
  readonly theirs: JsonObject | null;
  readonly theirsBy: { readonly userId: string | null; readonly deviceId: string | null };
  readonly at: string;
}

/** What is known of a user's sync, from the database and not from memory: it is true after a restart, too. */
export interface Facts {
  readonly deviceId: string;
  readonly pending: number;
  readonly oldestPending: string | null;
  readonly rejected: number;
  readonly setAside: number;
  readonly lastSuccess: string | null;
  readonly lastError: { readonly code: string; readonly message: string; readonly at: string } | null;
  /** Has anything ever been fetched? */
  readonly fetched: boolean;
  /** When device and service were last compared; null: never. */
  readonly lastComparison: string | null;
  /** Documents that comparisons found to differ and set right, in all. */
  readonly repaired: number;
}

/** Held by who syncs: nobody else does, as long as it is renewed in time. */
export interface Lease {
  readonly name: string;
  readonly owner: string;
  /** Milliseconds. */
  readonly duration: number;
}

export interface LocalEnvironment {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  readonly createId: () => string;
  /** See `SqlDriver.fingerprint`. */
  readonly fingerprint: string | null;
}

/** Changes that fit into a batch of Cosmos DB with what they log: docs/protocol.md, Transactions. */
const MAX_TRANSACTION = 49;

/** Kept for people to look at; older ones go. */
const CONFLICTS_KEPT = 1000;

/**
 * The local database of a client. Every method is one transaction, takes and gives plain data, and never waits: so it
 * runs beside its caller or behind a message port alike, and a crash leaves either all of a call or nothing of it.
 */
export class LocalDatabase {
  readonly #sql: SqlConnection;
  readonly #models: ReadonlyMap<string, ReturnType<typeof statementsOf>>;
  readonly #env: LocalEnvironment;
  /** Own scopes by user; they change only in `take`. */
  readonly #ownScopes = new Map<string, string>();
  readonly #session: RowSession;
  /** Of the connection that `#begin` was for. */
  #generation: number | undefined;
  #onChange: (collections: readonly string[]) => void = () => undefined;

  /** @param userId whose the rows of an older layout without users are */
  constructor(sql: SqlConnection, models: readonly Model[], userId: string, env: LocalEnvironment) {
    this.#sql = sql;
    this.#models = new Map(models.map((model) => [model.collection, statementsOf(model)]));
    this.#env = env;
    let position = 0;
    this.#session = {
      knownScopes: new Set(),
      takePositions: (count) => {
        const first = Math.max(position + 1, env.now() * 1000);
        position = first + count - 1;
        return first;
      },
    };
    migrate(sql, models, userId, this.#time());
    this.#dropUnusedModels(models);
    this.#noticeCopies();
    this.#begin();
  }

  /** Calls back after each transaction that changed rows, with their collections. */
  onChange(listener: (collections: readonly string[]) => void): void {
    this.#onChange = listener;
  }

  /** Makes sure that the user is known here. */
  openUser(userId: string): void {
    const known = this.#sql.all('SELECT OwnScope FROM Tidemark_Users WHERE UserId = ?', [userId])[0];
    const ownScope = textOf(known?.['OwnScope']) ?? presumedOwnScope(userId);
    if (known === undefined) {
      this.#sql.run(
        'INSERT INTO Tidemark_Users (UserId, DeviceId, Seq, Attempt, OwnScope, Confirmed) VALUES (?, ?, 0, 0, ?, 0) ON CONFLICT DO NOTHING',
        [userId, this.#env.createId(), ownScope],
      );
    }
    this.#ownScopes.set(userId, ownScope);
  }

  ownScope(userId: string): string {
    if (this.#sql.generation !== this.#generation) this.#begin();
    if (!this.#ownScopes.has(userId)) this.openUser(userId);
    return this.#ownScopes.get(userId) ?? presumedOwnScope(userId);
  }

  get(userId: string, collection: string, scope: string | null, documentId: string): StoredDocument | null {
    const { table } = this.#statements(collection).model;
    const [found] = this.#sql.all(
      `SELECT ID, Scope, Content, LastModified FROM ${quoteName(table)} WHERE UserId = ? AND Scope = ? AND ID = ?`,
      [userId, scope ?? this.ownScope(userId), documentId],
    );
    return found === undefined ? null : toDocument(found);
  }

  /** @param scope null: the user's own; undefined: all of them */
  find(
    userId: string,
    collection: string,
    scope: string | null | undefined,
    query: PlainQuery,
  ): StoredDocument[] {
    const { table, indexes } = this.#statements(collection).model;
    const { clause, params } = compileQuery(query, indexes);
    const inScope = scope === undefined ? '' : ' AND Scope = ?';
    return this.#sql
      .all(
        `SELECT ID, Scope, Content, LastModified FROM ${quoteName(table)} WHERE UserId = ?${inScope}${clause}`,
        [userId, ...(scope === undefined ? [] : [scope ?? this.ownScope(userId)]), ...params],
      )
      .map(toDocument);
  }

  /** Any statement that reads. */
  select(sql: string, params: readonly SqlValue[]): SqlRow[] {
    return this.#sql.all(sql, params);
  }

  /**
   * Writes and notes what is to be sent, all or nothing.
   *
   * @param together edits of several documents are sent as one transaction
   * @returns false where something expected no longer stands, and nothing was written
   * @throws TidemarkError `transaction_too_large`
   */
  write(
    userId: string,
    edits: readonly LocalEdit[],
    expected: readonly Expected[],
    together = false,
  ): boolean {
    const at = this.#time();
    const touched = new Set<string>();
    const [first] = edits;
    if (
      edits.length === 1 &&
      first?.kind === 'upsert' &&
      expected.length === 0 &&
      this.#upsertAlone(userId, first, at)
    ) {
      this.#notify(new Set([first.collection]));
      return true;
    }
    const written = this.#transaction(userId, (store) => {
      for (const { collection, scope, documentId, content } of expected) {
        store.row({ collection, scope: scope ?? this.ownScope(userId), documentId });
        if (store.lastContent !== content) return false;
      }
      for (const change of edits) {
        this.#statements(change.collection);
        const scope = change.scope ?? this.ownScope(userId);
        if (writeEdit(store, change, scope, at)) touched.add(change.collection);
      }
      if (together) this.#tieTogether(store, userId, edits);
      return true;
    });
    this.#notify(touched);
    return written;
  }

  /** Edits of several documents are sent as one transaction. */
  #tieTogether(store: SqlRowStore, userId: string, edits: readonly LocalEdit[]): void {
    const addresses = new Map<string, Address>();
    for (const made of edits) {
      if (made.kind === 'upsert' && !made.track) continue;
      const { collection } = made;
      const scope = made.scope ?? this.ownScope(userId);
      for (const documentId of idsOf(made))
        addresses.set(`${collection}/${documentId}`, { scope, collection, documentId });
    }
    if (addresses.size < 2) return;
    const size = store.tieTogether([...addresses.values()], this.#env.createId());
    if (size <= MAX_TRANSACTION) return;
    throw new TidemarkError(
      'transaction_too_large',
      `${size} documents would have to be sent as one transaction; ${MAX_TRANSACTION} fit. Transactions on the same documents become one until they are sent: sync first, or use fewer documents.`,
    );
  }

  /** The usual write is one statement, and a statement is a transaction. @returns whether it was that */
  #upsertAlone(userId: string, { collection, scope, documents, track }: LocalUpsert, at: string): boolean {
    this.#statements(collection);
    // Asked in any case: it notices that the connection is another one.
    const own = this.ownScope(userId);
    const named = scope ?? own;
    const store = new SqlRowStore(this.#sql, userId, this.#models, this.#session);
    if (!track || documents.length !== 1 || !store.knows(named)) return false;
    store.upsert(collection, named, documents, at);
    return true;
  }

  /** @param collection absent: all of them */
  pending(userId: string, collection?: string): PendingEdit[] {
    return [...this.#models.values()]
      .filter(({ model }) => collection === undefined || model.collection === collection)
      .flatMap(({ model }) =>
        this.#sql
          .all(
            `SELECT p.ID, p.Scope, p.Position, p.Type, p.Change, m.Content FROM ${pendingTable(model)} p
             LEFT JOIN ${quoteName(model.table)} m ON m.UserId = p.UserId AND m.Scope = p.Scope AND m.ID = p.ID
             WHERE p.UserId = ? ORDER BY p.Position`,
            [userId],
          )
          .map((found): PendingEdit => ({
            address: addressOf(found, model.collection),
            type: (textOf(found['Type']) ?? changeOf(found).type) as PendingEdit['type'],
            since: timeOf(found['Position']) ?? '',
            sent: found['Change'] !== null,
            content: found['Content'] === null ? null : objectOf(found['Content']),
          })),
      );
  }

  /**
   * Takes edits back that were not sent yet. One that is on its way stays: it may have arrived.
   *
   * @returns how many were taken back
   */
  discardPending(userId: string, addresses: readonly Address[]): number {
    let count = 0;
    const touched = new Set<string>();
    this.#transaction(userId, (store) => {
      for (const address of addresses) {
        const { dirty } = store.row(address);
        // A transaction goes back as a whole, like it came.
        const all = dirty?.transaction == null ? [{ address }] : store.inTransaction(dirty.transaction);
        for (const { address: one } of all) {
          const row = store.row(one);
          if (row.dirty === null) continue;
          store.setRow(one, discard(row), this.#time());
          touched.add(one.collection);
          count += 1;
        }
      }
    });
    this.#notify(touched);
    return count;
  }

  rejected(userId: string): RejectedEdit[] {
    return this.#sql
      .all('SELECT * FROM Tidemark_Rejected WHERE UserId = ? ORDER BY At, rowid', [userId])
      .map((found) => {
        const change = changeOf(found);
        return {
          changeId: String(found['ChangeId']),
          address: addressOf(found, String(found['Collection'])),
          type: change.type,
          content: change.type === 'delete' ? null : change.data,
          error: JSON.parse(String(found['Error'])) as ChangeError,
          at: String(found['At']),
          transaction: change.transaction ?? null,
        };
      });
  }

  /** Drops a rejected edit, and those of its transaction. @returns whether there was such an edit */
  dropRejected(userId: string, changeId: string): boolean {
    const dropped = this.#rejectedTogether(userId, changeId);
    transaction(this.#sql, () => this.#forgetRejected(userId, dropped));
    return dropped.length > 0;
  }

  #rejectedTogether(userId: string, changeId: string): RejectedEdit[] {
    const all = this.rejected(userId);
    const found = all.find((entry) => entry.changeId === changeId);
    return all.filter(
      (entry) => entry === found || (found?.transaction != null && entry.transaction === found.transaction),
    );
  }

  #forgetRejected(userId: string, edits: readonly RejectedEdit[]): void {
    for (const { changeId } of edits)
      this.#sql.run('DELETE FROM Tidemark_Rejected WHERE UserId = ? AND ChangeId = ?', [userId, changeId]);
  }

  /**
   * Makes the edit again, on what the row shows now; those of its transaction too, as one transaction.
   *
   * @param content corrected; absent: as it was
   */
  resendRejected(userId: string, changeId: string, content?: JsonObject): boolean {
    const edits = this.#rejectedTogether(userId, changeId);
    if (edits.length === 0) return false;
    this.#transaction(userId, (store) => {
      this.#forgetRejected(userId, edits);
      for (const made of edits) {
        const data = made.changeId === changeId ? (content ?? made.content) : made.content;
        store.setRow(made.address, edit(store.row({ ...made.address }), data, this.#time()));
      }
      if (edits.length > 1)
        store.tieTogether(
          edits.map(({ address }) => address),
          this.#env.createId(),
        );
    });
    this.#notify(new Set(edits.map(({ address }) => address.collection)));
    return true;
  }

  setAside(userId: string): SetAsideEdit[] {
    return this.#sql
      .all('SELECT * FROM Tidemark_SetAside WHERE UserId = ? ORDER BY Number', [userId])
      .map((found) => ({
        number: numberOf(found['Number']),
        address: addressOf(found, String(found['Collection'])),
        content: found['Data'] === null ? null : objectOf(found['Data']),
        at: String(found['At']),
      }));
  }

  dropSetAside(userId: string, number: number): boolean {
    return (
      this.#sql.run('DELETE FROM Tidemark_SetAside WHERE UserId = ? AND Number = ?', [userId, number]) > 0
    );
  }

  /** The last conflicts, the newest first. */
  conflicts(userId: string, limit: number): ConflictEntry[] {
    return this.#sql
      .all('SELECT * FROM Tidemark_Conflicts WHERE UserId = ? ORDER BY Number DESC LIMIT ?', [userId, limit])
      .map((found) => {
        const mine = JSON.parse(String(found['Mine'])) as Change;
        const theirs = JSON.parse(String(found['Theirs'])) as RemoteDocument;
        return {
          number: numberOf(found['Number']),
          address: addressOf(found, String(found['Collection'])),
          outcome: String(found['Outcome']) as ConflictEntry['outcome'],
          mine: mine.type === 'delete' ? null : mine.data,
          theirs: theirs.data,
          theirsBy: { userId: theirs.userId, deviceId: theirs.deviceId },
          at: String(found['At']),
        };
      });
  }

  dropConflict(userId: string, number: number): boolean {
    return (
      this.#sql.run('DELETE FROM Tidemark_Conflicts WHERE UserId = ? AND Number = ?', [userId, number]) > 0
    );
  }

  facts(userId: string): Facts {
    this.ownScope(userId);
    const [user] = this.#sql.all('SELECT * FROM Tidemark_Users WHERE UserId = ?', [userId]);
    const pending = [...this.#models.values()].map(({ model }) => {
      const [row] = this.#sql.all(
        `SELECT COUNT(*) AS n, MIN(Position) AS oldest FROM ${pendingTable(model)} WHERE UserId = ?`,
        [userId],
      );
      return { count: numberOf(row?.['n']), oldest: timeOf(row?.['oldest']) };
    });
    const oldest = pending.flatMap(({ oldest: at }) => (at === null ? [] : [at])).sort();
    const lastError = textOf(user?.['LastError']);
    const comparison = this.#comparison(userId);
    return {
      deviceId: String(user?.['DeviceId']),
      pending: pending.reduce((sum, { count }) => sum + count, 0),
      oldestPending: oldest[0] ?? null,
      rejected: this.#count('SELECT COUNT(*) AS n FROM Tidemark_Rejected WHERE UserId = ?', userId),
      setAside: this.#count('SELECT COUNT(*) AS n FROM Tidemark_SetAside WHERE UserId = ?', userId),
      lastSuccess: textOf(user?.['LastSuccess']),
      lastComparison: comparison.at === null ? null : new Date(comparison.at).toISOString(),
      repaired: comparison.repaired,
      lastError: lastError === null ? null : (JSON.parse(lastError) as Facts['lastError']),
      fetched:
        this.#count(
          'SELECT COUNT(*) AS n FROM Tidemark_Scopes WHERE UserId = ? AND Checkpoint IS NOT NULL',
          userId,
        ) > 0,
    };
  }

  /** Notes how a sync ended. Null: well. */
  noteOutcome(userId: string, error: { readonly code: string; readonly message: string } | null): void {
    const at = this.#time();
    if (error === null) {
      this.#sql.run('UPDATE Tidemark_Users SET LastSuccess = ?, LastError = NULL WHERE UserId = ?', [
        at,
        userId,
      ]);
    } else {
      const { code, message } = error;
      this.#sql.run('UPDATE Tidemark_Users SET LastError = ? WHERE UserId = ?', [
        JSON.stringify({ code, message, at }),
        userId,
      ]);
    }
  }

  /**
   * Makes the next request and keeps what it holds, before anything is sent.
   *
   * @param transport its name: a checkpoint is good for the transport that gave it
   * @returns the request, and how many of its changes had been sent before
   */
  compose(
    userId: string,
    options: Omit<RequestOptions, 'userId' | 'now' | 'createId'>,
    transport: string,
    lease: Lease | null,
  ): { readonly composed: Composed; readonly sentBefore: number } {
    return this.#transaction(userId, (store) => {
      this.#renew(lease);
      const [user] = this.#sql.all('SELECT Confirmed, Transport FROM Tidemark_Users WHERE UserId = ?', [
        userId,
      ]);
      if (textOf(user?.['Transport']) !== transport) this.#changeTransport(userId, store, transport);
      const sentBefore = store.inFlight().length;
      const composed = composeRequest(store, {
        ...options,
        userId,
        now: this.#env.now(),
        createId: this.#env.createId,
        // Until the service has named the user's own scope, nothing goes out under a presumed name.
        pullOnly: options.pullOnly === true || user?.['Confirmed'] !== 1,
      });
      return { composed, sentBefore };
    });
  }

  /** Takes in an answer: rows, checkpoints, streams, what was rejected. All of it, or nothing. */
  take(userId: string, composed: Composed, response: SyncResponse, lease: Lease | null): Taken {
    const at = this.#time();
    const taken = this.#transaction(userId, (store) => {
      this.#renew(lease);
      this.#confirmOwnScope(userId, response.scopes[0]);
      const result = takeAnswer(store, composed, response, this.#env.createId);
      for (const { change, result: refused } of result.rejected) {
        const error = refused.error ?? {
          code: 'rejected',
          message: 'The service gave no reason.',
          retryable: false,
        };
        this.#sql.run(
          'INSERT INTO Tidemark_Rejected (UserId, ChangeId, Scope, Collection, ID, Change, Error, At) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING',
          [
            userId,
            change.changeId ?? '',
            change.scope ?? '',
            change.collection,
            change.documentId,
            JSON.stringify(change),
            JSON.stringify(error),
            at,
          ],
        );
      }
      for (const { address, data } of result.setAside) this.#putAside(userId, address, data);
      for (const { address, outcome, mine, theirs } of result.conflicts) {
        this.#sql.run(
          'INSERT INTO Tidemark_Conflicts (UserId, Scope, Collection, ID, Outcome, Mine, Theirs, At) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
          [
            userId,
            address.scope,
            address.collection,
            address.documentId,
            outcome,
            JSON.stringify(mine),
            JSON.stringify(theirs),
            at,
          ],
        );
      }
      if (result.conflicts.length > 0) {
        this.#sql.run(
          'DELETE FROM Tidemark_Conflicts WHERE Number <= (SELECT MAX(Number) FROM Tidemark_Conflicts) - ?',
          [CONFLICTS_KEPT],
        );
      }
      return result;
    });
    const whole = taken.touched.some(({ collection }) => collection === '');
    this.#notify(new Set(whole ? this.#models.keys() : taken.touched.map(({ collection }) => collection)));
    return taken;
  }

  /** The request was refused for its size. @returns whether a smaller one can be made */
  takeBack(userId: string, { request }: Composed, sentBefore: number): boolean {
    return this.#transaction(userId, (store) => takeBack(store, request, sentBefore));
  }

  /** @returns whether the lease is the caller's now */
  lock({ name, owner, duration }: Lease): boolean {
    const now = this.#env.now();
    return (
      this.#sql.run(
        `INSERT INTO Tidemark_Locks (Name, Owner, Until) VALUES (?, ?, ?) ON CONFLICT DO UPDATE
         SET Owner = excluded.Owner, Until = excluded.Until
         WHERE Owner = excluded.Owner OR Until < ? OR Until > ?`,
        // One that ends long after a new one would was taken before the clock was set back: nobody waits for it.
        [name, owner, now + duration, now, now + 2 * duration],
      ) > 0
    );
  }

  unlock({ name, owner }: Lease): void {
    this.#sql.run('DELETE FROM Tidemark_Locks WHERE Name = ? AND Owner = ?', [name, owner]);
  }

  /** Scopes that were fetched, and up to where. */
  positions(userId: string): { readonly scope: string; readonly checkpoint: string }[] {
    return this.#sql
      .all('SELECT Scope, Checkpoint FROM Tidemark_Scopes WHERE UserId = ? AND Checkpoint IS NOT NULL', [
        userId,
      ])
      .map((found) => ({ scope: String(found['Scope']), checkpoint: String(found['Checkpoint']) }));
  }

  /** What the user holds of the service's documents. `pending`: buckets in which edits stand on top of them. */
  checksum(
    userId: string,
    scope: string,
    collection: string,
  ): { readonly checksum: ChecksumText; readonly pending: readonly string[] } {
    const checksum = emptyChecksum();
    for (const { documentId, version } of this.#heldIn(userId, scope, collection))
      addDocument(checksum, documentId, version);
    const pending = this.#sql
      .all(
        `SELECT ID FROM ${pendingTable(this.#statements(collection).model)} WHERE UserId = ? AND Scope = ?`,
        [userId, scope],
      )
      .map(({ ID }) => formatBucket(bucketOf(String(ID))));
    return { checksum: formatChecksum(checksum), pending: [...new Set(pending)] };
  }

  /** The same, document by document. */
  versions(
    userId: string,
    scope: string,
    collection: string,
    buckets: readonly string[],
  ): { readonly documentId: string; readonly version: string }[] {
    const wanted = new Set(buckets);
    return this.#heldIn(userId, scope, collection).filter(({ documentId }) =>
      wanted.has(formatBucket(bucketOf(documentId))),
    );
  }

  /** Rows without a version are the app's own. */
  #heldIn(userId: string, scope: string, collection: string) {
    const { table } = this.#statements(collection).model;
    return this.#sql
      .all(
        `SELECT ID, Version FROM ${quoteName(table)} WHERE UserId = ? AND Scope = ? AND Version IS NOT NULL`,
        [userId, scope],
      )
      .map(({ ID, Version }) => ({ documentId: String(ID), version: String(Version) }));
  }

  /**
   * Sets documents right that were found to differ. Where the user has edited one meanwhile, it waits beside the edit.
   *
   * @param gone what the service does not have
   * @returns how many rows are other ones now
   */
  mend(
    userId: string,
    documents: readonly RemoteDocument[],
    gone: readonly Address[],
    lease: Lease | null,
  ): number {
    const touched = new Set<string>();
    const count = this.#transaction(userId, (store) => {
      this.#renew(lease);
      let changed = 0;
      for (const document of documents) {
        const { scope, collection, documentId } = document;
        const address = { scope, collection, documentId };
        const row = store.row(address);
        const pending = isPending(row);
        if (!pending) changed += 1;
        store.setRow(address, receive(row, document), pending ? undefined : document.lastModified);
        touched.add(collection);
      }
      for (const address of gone) {
        const row = store.row(address);
        if (isPending(row)) continue;
        store.remove(address);
        touched.add(address.collection);
        changed += 1;
      }
      return changed;
    });
    this.#notify(touched);
    return count;
  }

  /** The next exchange fetches the scope from the beginning, and removes what that does not bring. */
  restartScope(userId: string, scope: string, lease: Lease | null): void {
    this.#transaction(userId, (store) => {
      this.#renew(lease);
      const state = store.scopes().get(scope);
      if (state === undefined) return;
      store.setScope(scope, { ...state, checkpoint: null, resync: true });
      store.startPass(scope);
    });
  }

  /** @param repaired documents that were set right; null: nothing was compared, but the time counts from now */
  noteComparison(userId: string, repaired: number | null): void {
    const before = this.#comparison(userId);
    const now = { since: this.#env.now(), at: repaired === null ? null : this.#env.now() };
    writeMeta(
      this.#sql,
      comparisonKey(userId),
      JSON.stringify({ ...now, repaired: before.repaired + (repaired ?? 0) }),
    );
  }

  /** Is it so many milliseconds since the last comparison, or since the time was first asked for? */
  isComparisonDue(userId: string, interval: number): boolean {
    const { since } = this.#comparison(userId);
    if (since === null) this.noteComparison(userId, null);
    return since !== null && Math.abs(this.#env.now() - since) >= interval;
  }

  #comparison(userId: string): {
    readonly since: number | null;
    readonly at: number | null;
    readonly repaired: number;
  } {
    const text = readMeta(this.#sql, comparisonKey(userId));
    if (text === null) return { since: null, at: null, repaired: 0 };
    return JSON.parse(text) as { since: number; at: number | null; repaired: number };
  }

  /**
   * Removes what a user who left can be given again by the service. Documents with pending edits stay, out of sight, and
   * are sent when the user is back.
   */
  wipe(userId: string): void {
    this.#transaction(userId, (store) => {
      for (const { model } of this.#models.values()) {
        this.#sql.run(
          `DELETE FROM ${quoteName(model.table)} WHERE UserId = ? AND NOT EXISTS (SELECT 1 FROM ${pendingTable(model)} p
           WHERE p.UserId = ${quoteName(model.table)}.UserId AND p.Scope = ${quoteName(model.table)}.Scope
           AND p.ID = ${quoteName(model.table)}.ID)`,
          [userId],
        );
      }
      this.#sql.run('DELETE FROM Tidemark_Absent WHERE UserId = ?', [userId]);
      this.#sql.run('DELETE FROM Tidemark_Conflicts WHERE UserId = ?', [userId]);
      for (const [scope, state] of store.scopes()) {
        store.setScope(scope, { ...state, checkpoint: null, resync: true });
        store.startPass(scope);
      }
    });
    this.#notify(new Set(this.#models.keys()));
  }

  /** Removes everything of a user, edits that were never sent included. */
  forget(userId: string): void {
    transaction(this.#sql, () => {
      for (const { model } of this.#models.values()) {
        this.#sql.run(`DELETE FROM ${quoteName(model.table)} WHERE UserId = ?`, [userId]);
        this.#sql.run(`DELETE FROM ${pendingTable(model)} WHERE UserId = ?`, [userId]);
      }
      for (const table of ['Users', 'Scopes', 'Absent', 'Brought', 'Rejected', 'SetAside', 'Conflicts']) {
        this.#sql.run(`DELETE FROM Tidemark_${table} WHERE UserId = ?`, [userId]);
      }
    });
    this.#sql.run('DELETE FROM Tidemark_Meta WHERE Key = ?', [comparisonKey(userId)]);
    this.#ownScopes.delete(userId);
    this.#session.knownScopes.clear();
    this.#notify(new Set(this.#models.keys()));
  }

  /** Users with anything here, and how many edits of theirs wait. */
  users(): { readonly userId: string; readonly pending: number }[] {
    return this.#sql.all('SELECT UserId FROM Tidemark_Users ORDER BY UserId').map(({ UserId }) => {
      const userId = String(UserId);
      const pending = [...this.#models.values()].map(({ model }) =>
        this.#count(`SELECT COUNT(*) AS n FROM ${pendingTable(model)} WHERE UserId = ?`, userId),
      );
      return { userId, pending: pending.reduce((sum, count) => sum + count, 0) };
    });
  }

  close(): void {
    this.#sql.close();
  }

  #transaction<R>(userId: string, work: (store: SqlRowStore) => R): R {
    this.ownScope(userId);
    try {
      return transaction(this.#sql, () => {
        const store = new SqlRowStore(this.#sql, userId, this.#models, this.#session);
        const result = work(store);
        store.flush();
        return result;
      });
    } catch (error) {
      // What this transaction would have noted is not there.
      this.#session.knownScopes.clear();
      throw error;
    }
  }

  /** What lives as long as a connection: the views that writes go through, and what was read of rows others may change. */
  #begin(): void {
    this.#generation = this.#sql.generation;
    this.#ownScopes.clear();
    this.#session.knownScopes.clear();
    for (const { setup } of this.#models.values()) for (const statement of setup) this.#sql.run(statement);
  }

  #renew(lease: Lease | null): void {
    if (lease !== null && !this.lock(lease)) {
      throw new TidemarkError('busy', 'Another process took over the sync of this user.', {
        retryable: true,
      });
    }
  }

  /** A checkpoint of another transport says nothing: everything is fetched anew, and what does not come is gone. */
  #changeTransport(userId: string, store: SqlRowStore, transport: string): void {
    for (const [scope, state] of store.scopes()) {
      if (state.checkpoint === null) continue;
      store.setScope(scope, { ...state, checkpoint: null, resync: true });
      store.startPass(scope);
    }
    this.#sql.run('UPDATE Tidemark_Users SET Transport = ? WHERE UserId = ?', [transport, userId]);
  }

  /** The first answer names the user's own scope: rows written before it get that name. */
  #confirmOwnScope(userId: string, named: string | undefined): void {
    const [user] = this.#sql.all('SELECT Confirmed FROM Tidemark_Users WHERE UserId = ?', [userId]);
    if (named === undefined || user?.['Confirmed'] === 1) return;
    const presumed = this.ownScope(userId);
    this.#sql.run('UPDATE Tidemark_Users SET OwnScope = ?, Confirmed = 1 WHERE UserId = ?', [named, userId]);
    this.#ownScopes.set(userId, named);
    this.#session.knownScopes.clear();
    if (named === presumed) return;
    for (const { model } of this.#models.values()) {
      for (const table of [quoteName(model.table), pendingTable(model)]) {
        this.#sql.run(`UPDATE ${table} SET Scope = ? WHERE UserId = ? AND Scope = ?`, [
          named,
          userId,
          presumed,
        ]);
      }
    }
    this.#sql.run('DELETE FROM Tidemark_Scopes WHERE UserId = ? AND Scope = ?', [userId, presumed]);
  }

  /** What is in no model any more is not asked for, so it would only grow old: edits in it are set aside. */
  #dropUnusedModels(models: readonly Model[]): void {
    const used = new Set(models.map(({ collection }) => collection));
    const unused = knownModels(this.#sql).filter(([collection]) => !used.has(collection));
    if (unused.length === 0) return;
    transaction(this.#sql, () => {
      for (const [collection, table] of unused) {
        const model = { collection, table, indexes: [] };
        for (const found of this.#sql.all(
          `SELECT p.UserId, p.Scope, p.ID, m.Content FROM ${pendingTable(model)} p LEFT JOIN ${quoteName(table)} m
           ON m.UserId = p.UserId AND m.Scope = p.Scope AND m.ID = p.ID`,
        )) {
          const data = found['Content'] === null ? null : objectOf(found['Content']);
          this.#putAside(String(found['UserId']), addressOf(found, collection), data);
        }
        this.#sql.exec(`DROP TABLE ${quoteName(table)}; DROP TABLE ${pendingTable(model)}`);
        this.#sql.run('DELETE FROM Tidemark_Absent WHERE Collection = ?', [collection]);
        this.#sql.run('DELETE FROM Tidemark_Brought WHERE Collection = ?', [collection]);
      }
      writeMeta(
        this.#sql,
        'models',
        JSON.stringify(models.map(({ collection, table }) => [collection, table])),
      );
    });
  }

  /** A copy of a database, or one restored from a backup, would speak for the device it was copied from. */
  #noticeCopies(): void {
    const { fingerprint, createId } = this.#env;
    if (fingerprint === null) return;
    const known = readMeta(this.#sql, 'fingerprint');
    if (known === fingerprint) return;
    transaction(this.#sql, () => {
      writeMeta(this.#sql, 'fingerprint', fingerprint);
      if (known === null) return;
      for (const { UserId } of this.#sql.all('SELECT UserId FROM Tidemark_Users')) {
        const store = new SqlRowStore(this.#sql, String(UserId), this.#models, this.#session);
        const fetched = [...store.scopes()].filter(([, { checkpoint }]) => checkpoint !== null);
        startOver(
          store,
          fetched.map(([scope]) => scope),
          createId,
        );
        store.flush();
      }
    });
  }

  #putAside(userId: string, { scope, collection, documentId }: Address, data: JsonObject | null): void {
    this.#sql.run(
      'INSERT INTO Tidemark_SetAside (UserId, Scope, Collection, ID, Data, At) VALUES (?, ?, ?, ?, ?, ?)',
      [userId, scope, collection, documentId, data === null ? null : JSON.stringify(data), this.#time()],
    );
  }

  #statements(collection: string) {
    const statements = this.#models.get(collection);
    if (statements === undefined) {
      throw new TidemarkError('unknown_collection', `The client has no collection \`${collection}\`.`);
    }
    return statements;
  }

  #notify(collections: ReadonlySet<string>): void {
    if (collections.size > 0) this.#onChange([...collections]);
  }

  #count(sql: string, userId: string): number {
    return numberOf(this.#sql.all(sql, [userId])[0]?.['n']);
  }

  #time(): string {
    return new Date(this.#env.now()).toISOString();
  }
}

/** @returns whether anything is other than it was */
function writeEdit(store: SqlRowStore, change: LocalEdit, scope: string, at: string): boolean {
  const { collection } = change;
  if (change.kind === 'upsert') {
    if (change.track) store.upsert(collection, scope, change.documents, at);
    else for (const document of change.documents) storeUntracked(store, { collection, scope }, document, at);
    return change.documents.length > 0;
  }
  const address = { collection, scope, documentId: change.documentId };
  const row = store.row(address);
  if (change.kind === 'delete') {
    if (row.data !== null) store.setRow(address, edit(row, null, at));
    return row.data !== null;
  }
  if (row.data === null) {
    throw new TidemarkError('not_found', `There is no document \`${change.documentId}\` to patch.`);
  }
  store.setRow(address, edit(row, mergePatch(row.data, change.data), at, 'patch'));
  return true;
}

function storeUntracked(
  store: SqlRowStore,
  { collection, scope }: Pick<Address, 'collection' | 'scope'>,
  { documentId, content }: NewContent,
  at: string,
): void {
  const address = { collection, scope, documentId };
  const row = store.row(address);
  const data = objectOf(content);
  // Beside an edit that waits, what the user sees is what is sent.
  store.setRow(address, row.dirty === null ? { ...row, data } : edit(row, data, at), at);
}

const comparisonKey = (userId: string): string => `comparison:${userId}`;

/** Positions are microseconds since the epoch. */
const timeOf = (position: SqlValue | undefined): string | null =>
  position == null ? null : new Date(Math.floor(numberOf(position) / 1000)).toISOString();
const objectOf = (value: SqlValue | undefined): JsonObject => {
  const parsed: unknown = JSON.parse(String(value));
  return isJsonObject(parsed) ? parsed : {};
};
const changeOf = (found: SqlRow): Change => JSON.parse(String(found['Change'])) as Change;
const addressOf = (found: SqlRow, collection: string): Address => ({
  scope: String(found['Scope']),
  collection,
  documentId: String(found['ID']),
});
const toDocument = (found: SqlRow): StoredDocument => ({
  documentId: String(found['ID']),
  scope: String(found['Scope']),
  content: objectOf(found['Content']),
  lastModified: String(found['LastModified']),
});
