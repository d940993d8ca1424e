import {
  badContinuation,
  badRequest,
  conflict,
  CosmosError,
  notFound,
  preconditionFailed,
} from '../errors.ts';
import { isObject } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { containerRid, databaseRid, userRid } from '../rid.ts';
import { namedPaths } from '../storage/path-index.ts';
import type { ResourceRow, ResourceType, Store } from '../storage/store.ts';
import { modelOf } from './container-model.ts';
import type { ContainerModel } from './container-model.ts';
import { completeContainer, refuseContainerChange } from './container-definition.ts';
import { firstRanges, splitInTwo } from './ranges.ts';
import { makeEtag, withoutSystem } from './system-properties.ts';

/** A physical partition of a container as it stands; the log sequence number moves with every write. */
export interface RangeState {
  readonly id: string;
  readonly min: string;
  readonly max: string;
  lsn: number;
  readonly parents: readonly string[];
}

export interface ContainerState {
  readonly row: ResourceRow;
  readonly model: ContainerModel;
  ranges: RangeState[];
}

export interface CatalogOptions {
  readonly store: Store;
  readonly now: () => number;
  readonly random: (bytes: number) => Buffer;
  /** Physical partitions of a new container. */
  readonly partitions: number;
}

interface Page {
  readonly rows: ResourceRow[];
  readonly continuation: string | undefined;
}

/**
 * Databases, containers, users and permissions: names to resources and back. Containers are kept ready in memory
 * because every document request needs one.
 */
export class Catalog {
  readonly #options: CatalogOptions;
  readonly #store: Store;
  readonly #containers = new Map<string, ContainerState>();

  constructor(options: CatalogOptions) {
    this.#options = options;
    this.#store = options.store;
  }

  find(type: ResourceType, parent: string, nameOrRid: string): ResourceRow | undefined {
    const byName = this.#store.resource(type, parent, nameOrRid);
    if (byName !== undefined) return byName;
    const byRid = this.#store.resourceByRid(nameOrRid);
    return byRid?.type === type && byRid.parent === parent ? byRid : undefined;
  }

  get(type: ResourceType, parent: string, nameOrRid: string): ResourceRow {
    const row = this.find(type, parent, nameOrRid);
    if (row === undefined) throw notFound();
    return row;
  }

  list(type: ResourceType, parent: string, limit: number, continuation: string | undefined): Page {
    const after = continuation === undefined ? 0 : Number(continuation);
    if (!Number.isSafeInteger(after)) throw badContinuation(continuation ?? '');
    const rows = this.#store.resources(type, parent, after, limit + 1);
    const page = rows.slice(0, limit);
    return { rows: page, continuation: rows.length > limit ? String(page.at(-1)?.no ?? 0) : undefined };
  }

  createDatabase(body: JsonObject): ResourceRow {
    const rid = databaseRid(this.#options.random);
    return this.#insert('database', '', body, rid, `dbs/${rid}/`, { _colls: 'colls/', _users: 'users/' });
  }

  createUser(database: ResourceRow, body: JsonObject): ResourceRow {
    const rid = userRid(database.rid, this.#options.random);
    return this.#insert('user', database.rid, body, rid, `dbs/${database.rid}/users/${rid}/`, {
      _permissions: 'permissions/',
    });
  }

  /** With as many physical partitions as the emulator was told to make, or more where the throughput needs them. */
  createContainer(database: ResourceRow, body: JsonObject, partitionsNeeded: number): ResourceRow {
    const rid = containerRid(database.rid, this.#options.random);
    const definition = completeContainer(withoutSystem(body));
    return this.#store.transaction(() => {
      const row = this.#insert(
        'container',
        database.rid,
        definition,
        rid,
        `dbs/${database.rid}/colls/${rid}/`,
        {
          _docs: 'docs/',
          _sprocs: 'sprocs/',
          _triggers: 'triggers/',
          _udfs: 'udfs/',
          _conflicts: 'conflicts/',
        },
      );
      const { key, indexing } = modelOf(definition, placeOf(row, database));
      this.#store.indexPaths(row.no, namedPaths(indexing.included));
      const partitions = Math.max(this.#options.partitions, partitionsNeeded);
      for (const range of firstRanges(partitions, key)) this.#store.insertRange(row.no, range);
      return row;
    });
  }

  replaceContainer(
    database: ResourceRow,
    row: ResourceRow,
    body: JsonObject,
    ifMatch: string | undefined,
  ): ResourceRow {
    const before = parseBody(row);
    const kept =
      before['uniqueKeyPolicy'] === undefined ? {} : { uniqueKeyPolicy: before['uniqueKeyPolicy'] };
    const definition = completeContainer({ ...kept, ...withoutSystem(body) });
    refuseContainerChange(before, definition);
    const { indexing } = modelOf(definition, placeOf(row, database));
    const replaced = this.#store.transaction(() => {
      this.#store.indexPaths(row.no, namedPaths(indexing.included));
      return this.replace(row, definition, ifMatch);
    });
    this.#containers.delete(row.rid);
    return replaced;
  }

  /** Splits a physical partition in the middle while requests go on. Continuations on it answer 410 from now on. */
  splitRange(container: ContainerState, id: string): void {
    const parent = container.ranges.find((range) => range.id === id);
    if (parent === undefined) throw notFound();
    const { no, key } = container.model;
    const used = container.ranges.flatMap((range) => [range.id, ...range.parents]).map(Number);
    const children = splitInTwo(parent, Math.max(...used) + 1, key);
    this.#store.transaction(() => this.#store.splitRange(no, id, children));
    container.ranges = this.#store.ranges(no).map((range) => ({ ...range }));
  }

  createPermission(user: ResourceRow, body: JsonObject, rid: string, self: string): ResourceRow {
    return this.#insert('permission', user.rid, body, rid, self, {});
  }

  #insert(
    type: ResourceType,
    parent: string,
    body: JsonObject,
    rid: string,
    self: string,
    feeds: JsonObject,
  ): ResourceRow {
    const name = resourceName(body);
    return this.#store.transaction(() => {
      if (this.#store.resource(type, parent, name) !== undefined) throw conflict();
      const text = this.#complete(withoutSystem(body), rid, self, feeds);
      const no = this.#store.insertResource({ type, parent, name, rid, body: text });
      return { no, type, parent, name, rid, body: text };
    });
  }

  /** Stores a new definition; the id may change only for users and permissions. */
  replace(row: ResourceRow, body: JsonObject, ifMatch: string | undefined): ResourceRow {
    const old = parseBody(row);
    if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== old['_etag']) throw preconditionFailed();
    const name = resourceName(body);
    if (name !== row.name) {
      if (row.type !== 'user' && row.type !== 'permission')
        throw badRequest('The id of the body is not the id of the resource.');
      if (this.#store.resource(row.type, row.parent, name) !== undefined) throw conflict();
    }
    const feeds = Object.fromEntries(
      Object.entries(old).filter(([key, value]) => key.startsWith('_') && value === `${key.slice(1)}/`),
    );
    return this.#store.transaction(() => {
      const text = this.#complete(withoutSystem(body), row.rid, textOf(old, '_self'), feeds);
      this.#store.updateResource(row.no, name, text);
      return { ...row, name, body: text };
    });
  }

  #complete(body: JsonObject, rid: string, self: string, feeds: JsonObject): string {
    const seconds = Math.floor(this.#options.now() / 1000);
    const etag = makeEtag(this.#store.nextNumber(), 0, 0, seconds);
    return JSON.stringify({ ...body, ...feeds, _rid: rid, _self: self, _etag: etag, _ts: seconds });
  }

  /** Removes a resource and everything below it. */
  remove(row: ResourceRow, ifMatch?: string): void {
    if (ifMatch !== undefined && ifMatch !== '*' && ifMatch !== parseBody(row)['_etag'])
      throw preconditionFailed();
    this.#store.transaction(() => this.#removeTree(row));
  }

  #removeTree(row: ResourceRow): void {
    const children: readonly ResourceType[] =
      row.type === 'database' ? ['container', 'user'] : row.type === 'user' ? ['permission'] : [];
    for (const type of children)
      for (const child of this.#store.resources(type, row.rid, 0, -1)) this.#removeTree(child);
    if (row.type === 'container') {
      this.#store.deleteContainerDocuments(row.no);
      this.#containers.delete(row.rid);
    }
    const offer = this.#store.resource('offer', '', row.rid);
    if (offer !== undefined) this.#store.deleteResource(offer.no);
    this.#store.deleteResource(row.no);
  }

  /** The container of a request path; undefined where there is none. */
  container(databaseName: string, containerName: string): ContainerState | undefined {
    const database = this.find('database', '', databaseName);
    const row = database && this.find('container', database.rid, containerName);
    return database && row && this.#state(database, row);
  }

  /** The container with this rid, for the links that permissions hold. */
  containerByRid(rid: string): ContainerState | undefined {
    const row = this.#store.resourceByRid(rid);
    const database = row?.type === 'container' ? this.#store.resourceByRid(row.parent) : undefined;
    return row && database && this.#state(database, row);
  }

  #state(database: ResourceRow, row: ResourceRow): ContainerState {
    let state = this.#containers.get(row.rid);
    if (state === undefined) {
      state = {
        row,
        model: modelOf(parseBody(row), placeOf(row, database)),
        ranges: this.#store.ranges(row.no).map((range) => ({ ...range })),
      };
      this.#containers.set(row.rid, state);
    }
    return state;
  }
}

function placeOf(
  row: ResourceRow,
  database: ResourceRow,
): Pick<ContainerModel, 'no' | 'rid' | 'name' | 'databaseName' | 'databaseRid'> {
  return {
    no: row.no,
    rid: row.rid,
    name: row.name,
    databaseName: database.name,
    databaseRid: database.rid,
  };
}

/** A property that the catalog itself wrote as text. */
export function textOf(body: JsonObject, name: string): string {
  const value = body[name];
  return typeof value === 'string' ? value : '';
}

export function parseBody(row: ResourceRow): JsonObject {
  const parsed: unknown = JSON.parse(row.body);
  if (!isObject(parsed)) throw new CosmosError(500, `The stored resource ${row.rid} is not an object.`);
  return parsed;
}

/** Names of resources: text without / \ ? #, not ending in a space, at most 255 characters. */
export function resourceName(body: JsonObject): string {
  const { id } = body;
  if (typeof id !== 'string' || id === '')
    throw badRequest("The input name is invalid: the body needs an 'id' that is text.");
  if (/[/\\?#]/.test(id) || id.endsWith(' ') || id.length > 255)
    throw badRequest(
      `The input name '${id.slice(0, 60)}' is invalid. Ensure to provide a unique non-empty string of at most 255 characters without / \\ ? # and without a space at the end.`,
    );
  return id;
}
