import {
  countIndexedTerms,
  createCharge,
  deleteCharge,
  missCharge,
  readCharge,
  replaceCharge,
} from '../charges.ts';
import { badRequest, conflict, CosmosError, notFound, preconditionFailed } from '../errors.ts';
import { isObject, valueAt } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { canonicalKey, keyOfDocument } from '../partition/partition-key.ts';
import type { KeyValue } from '../partition/partition-key.ts';
import type { ContainerState, RangeState } from '../resources/catalog.ts';
import { readTtl } from '../resources/container-model.ts';
import { makeEtag, withoutSystem } from '../resources/system-properties.ts';
import { childRid } from '../rid.ts';
import type { Change, DocumentReads, History } from '../storage/lagging-replica.ts';
import type { DocumentRow, Liveness, Store } from '../storage/store.ts';
import { applyPatch } from './patch.ts';
import type { PatchRequest } from './patch.ts';

export interface Conditions {
  readonly ifMatch?: string | undefined;
  readonly ifNoneMatch?: string | undefined;
}

export interface DocumentResult {
  readonly status: number;
  readonly charge: number;
  readonly etag: string | undefined;
  /** The document as JSON text; undefined after a delete. */
  readonly body: string | undefined;
}

/** Answers whether a patch condition holds for a document. */
export type ConditionCheck = (condition: string, document: JsonObject) => boolean;

export interface WriterServices {
  readonly store: Store;
  readonly now: () => number;
  readonly holds: ConditionCheck;
  readonly history: History;
}

/** 2 MB is the limit of the service for one document. */
export const maximumDocumentBytes = 2 * 1024 * 1024;
const maximumIdBytes = 1023;
const maximumNesting = 128;

/**
 * Reads and changes documents of one logical partition inside one transaction. All changes of a writer share one log
 * sequence number, which is what makes a batch appear whole in the change feed.
 */
export class DocumentWriter {
  readonly #services: WriterServices;
  readonly #container: ContainerState;
  readonly #range: RangeState;
  readonly #key: string;
  readonly #epk: string;
  readonly #live: Liveness;
  readonly #lsn: number;
  #steps = 0;
  readonly #changes: Change[] = [];

  constructor(
    services: WriterServices,
    container: ContainerState,
    range: RangeState,
    key: readonly KeyValue[],
    epk: string,
    lsn: number,
    firstStep = 0,
  ) {
    this.#services = services;
    this.#container = container;
    this.#range = range;
    this.#key = canonicalKey(key);
    this.#epk = epk;
    this.#lsn = lsn;
    this.#steps = firstStep;
    this.#live = liveness(container, services.now());
  }

  /** What the changes replaced, while somebody wants to know. */
  get changes(): readonly Change[] {
    return this.#changes;
  }

  #record(no: number, before: DocumentRow | undefined): void {
    if (this.#services.history.lag === 0) return;
    const { no: container } = this.#container.model;
    const { id: range } = this.#range;
    this.#changes.push({ container, range, pk: this.#key, epk: this.#epk, lsn: this.#lsn, no, before });
  }

  /** Changes made so far. */
  get steps(): number {
    return this.#steps;
  }

  #find(id: string): DocumentRow | undefined {
    return this.#services.store.document(this.#container.model.no, this.#key, id, this.#live);
  }

  /** Reads from the newest state, or from the replica that is given. */
  read(id: string, conditions: Conditions, reads?: DocumentReads): DocumentResult {
    const row =
      reads === undefined
        ? this.#find(id)
        : reads.document(this.#container.model.no, this.#key, id, this.#live);
    if (row === undefined) throw withCharge(notFound(), missCharge.read);
    if (conditions.ifNoneMatch !== undefined && matches(conditions.ifNoneMatch, row.etag))
      return { status: 304, charge: missCharge.read, etag: row.etag, body: undefined };
    return { status: 200, charge: readCharge(row.body.length), etag: row.etag, body: row.body };
  }

  create(body: JsonValue | undefined): DocumentResult {
    const document = this.#accept(body);
    const id = documentId(document);
    if (this.#find(id) !== undefined) throw withCharge(conflict(), missCharge.write);
    return this.#insert(id, document);
  }

  upsert(body: JsonValue | undefined, conditions: Conditions): DocumentResult {
    const document = this.#accept(body);
    const id = documentId(document);
    const row = this.#find(id);
    if (row === undefined) return this.#insert(id, document);
    this.#require(row, conditions);
    return this.#replace(row, id, document);
  }

  replace(id: string, body: JsonValue | undefined, conditions: Conditions): DocumentResult {
    const document = this.#accept(body);
    const newId = documentId(document);
    if (newId !== id) throw badRequest('The id of the body is not the id of the document that is replaced.');
    const row = this.#find(id);
    if (row === undefined) throw withCharge(notFound(), missCharge.write);
    this.#require(row, conditions);
    return this.#replace(row, id, document);
  }

  patch(id: string, patch: PatchRequest, conditions: Conditions): DocumentResult {
    const row = this.#find(id);
    if (row === undefined) throw withCharge(notFound(), missCharge.write);
    this.#require(row, conditions);
    const current = parseStored(row.body);
    if (patch.condition !== undefined && !this.#services.holds(patch.condition, current))
      throw withCharge(preconditionFailed(), missCharge.write);
    const document = applyPatch(withoutSystem(current), patch.operations, this.#container.model.keyPaths);
    checkNesting(document, 0);
    return this.#replace(row, id, document);
  }

  delete(id: string, conditions: Conditions): DocumentResult {
    const row = this.#find(id);
    if (row === undefined) throw withCharge(notFound(), missCharge.write);
    this.#require(row, conditions);
    this.#services.store.deleteDocument(row.no);
    this.#record(row.no, row);
    this.#steps++;
    const terms = countIndexedTerms(withoutSystem(parseStored(row.body)), this.#container.model.indexing);
    return { status: 204, charge: deleteCharge(row.body.length, terms), etag: undefined, body: undefined };
  }

  /** Deletes whatever the partition holds. */
  deleteAll(): void {
    const { store } = this.#services;
    const rows = [...store.documents(this.#container.model.no, { pk: this.#key }, this.#live, 0)];
    for (const row of rows) {
      store.deleteDocument(row.no);
      this.#record(row.no, row);
      this.#steps++;
    }
  }

  #require(row: DocumentRow, conditions: Conditions): void {
    if (conditions.ifMatch !== undefined && !matches(conditions.ifMatch, row.etag))
      throw withCharge(preconditionFailed(), missCharge.write);
    if (conditions.ifNoneMatch !== undefined && matches(conditions.ifNoneMatch, row.etag))
      throw withCharge(preconditionFailed(), missCharge.write);
  }

  /** The body as a document of this partition, without system properties. */
  #accept(body: JsonValue | undefined): JsonObject {
    if (!isObject(body)) throw badRequest('The body of a document is a JSON object.');
    const document = withoutSystem(body);
    checkNesting(document, 0);
    const key = canonicalKey(keyOfDocument(document, this.#container.model.keyPaths));
    if (key !== this.#key)
      throw badRequest(
        `PartitionKey extracted from document ${key} doesn't match the one specified in the header ${this.#key}.`,
        1001,
      );
    return document;
  }

  #insert(id: string, document: JsonObject): DocumentResult {
    const { store } = this.#services;
    const { model } = this.#container;
    // One that has expired is still stored, though nobody can see it.
    if (model.defaultTtl !== null) store.deleteExpired(model.no, this.#key, id);
    const no = store.nextDocumentNumber();
    const stored = this.#stored(no, id, document);
    this.#claimUnique(no, document);
    store.insertDocument(model.no, no, stored);
    this.#record(no, undefined);
    this.#steps++;
    const terms = countIndexedTerms(document, model.indexing);
    return {
      status: 201,
      charge: createCharge(stored.body.length, terms),
      etag: stored.etag,
      body: stored.body,
    };
  }

  #replace(row: DocumentRow, id: string, document: JsonObject): DocumentResult {
    const { store } = this.#services;
    const { model } = this.#container;
    const stored = this.#stored(row.no, id, document);
    this.#claimUnique(row.no, document);
    store.replaceDocument(model.no, row.no, stored);
    this.#record(row.no, row);
    this.#steps++;
    const terms = countIndexedTerms(document, model.indexing);
    return {
      status: 200,
      charge: replaceCharge(stored.body.length, terms),
      etag: stored.etag,
      body: stored.body,
    };
  }

  /** Unique keys hold within a logical partition; a property that is not there counts as null. */
  #claimUnique(no: number, document: JsonObject): void {
    const { store } = this.#services;
    const { model } = this.#container;
    if (model.uniqueKeys.length === 0) return;
    const values = model.uniqueKeys.map((paths) =>
      JSON.stringify(paths.map((path) => valueAt(document, path) ?? null)),
    );
    for (const [key, value] of values.entries()) {
      const owner = store.uniqueOwner(model.no, this.#key, key, value);
      if (owner === undefined || owner === no) continue;
      if (store.isAlive(owner, this.#live))
        throw withCharge(new CosmosError(409, 'Unique index constraint violation.'), missCharge.write);
      store.deleteDocument(owner);
    }
    store.saveUnique(model.no, this.#key, no, values);
  }

  #stored(no: number, id: string, document: JsonObject): Parameters<Store['insertDocument']>[2] {
    const { model } = this.#container;
    const ttl = readTtl(document['ttl'], 'ttl') ?? null;
    const ts = this.#live.nowSeconds;
    const rid = childRid(model.rid, 'document', no);
    const etag = makeEtag(this.#lsn, this.#steps, originOf(model.rid, this.#range.id), ts);
    const text = JSON.stringify(document);
    const system =
      `"_rid":"${rid}","_self":"dbs/${model.databaseRid}/colls/${model.rid}/docs/${rid}/",` +
      `"_etag":${JSON.stringify(etag)},"_attachments":"attachments/","_ts":${ts}}`;
    const body = `${text.slice(0, -1)},${system}`;
    if (body.length > maximumDocumentBytes / 4 && Buffer.byteLength(body) > maximumDocumentBytes)
      throw new CosmosError(413, 'Request size is too large: a document has at most 2 MB.');
    const { id: range } = this.#range;
    return {
      pk: this.#key,
      id,
      epk: this.#epk,
      range,
      lsn: this.#lsn,
      step: this.#steps,
      ts,
      ttl,
      etag,
      body,
    };
  }
}

/** ETags of two containers, or of two ranges of one, must not meet: their origin goes in as well. */
function originOf(rid: string, range: string): number {
  let hash = 0;
  for (const char of `${rid}/${range}`) hash = (hash * 31 + (char.codePointAt(0) ?? 0)) & 0xffff;
  return hash;
}

export function liveness(container: ContainerState, now: number): Liveness {
  return { defaultTtl: container.model.defaultTtl, nowSeconds: Math.floor(now / 1000) };
}

const matches = (condition: string, etag: string): boolean => condition === '*' || condition === etag;

const charges = new WeakMap<CosmosError, number>();

/** A refused operation costs too: the charge travels beside the error. */
export function withCharge(error: CosmosError, charge: number): CosmosError {
  charges.set(error, charge);
  return error;
}

export function chargeOf(error: CosmosError): number {
  return charges.get(error) ?? 0;
}

/**
 * Ids of documents: text of 1 to 1023 bytes without / \ #. The question mark, which Microsoft's documentation also
 * forbids, is let through: the SDK allows it since 4.0.
 */
export function documentId(document: JsonObject): string {
  const { id } = document;
  if (typeof id !== 'string' || id === '')
    throw badRequest("The input content is invalid because the required properties - 'id; ' - are missing.");
  if (/[/\\#]/.test(id)) throw badRequest('The id of a document cannot contain / \\ or #.');
  if (Buffer.byteLength(id) > maximumIdBytes)
    throw badRequest(`The id of a document has at most ${maximumIdBytes} bytes.`);
  return id;
}

function checkNesting(value: JsonValue, depth: number): void {
  if (typeof value !== 'object' || value === null) return;
  if (depth >= maximumNesting)
    throw badRequest(`A document has at most ${maximumNesting} levels of nesting.`);
  for (const child of Object.values(value)) checkNesting(child, depth + 1);
}

export function parseStored(text: string): JsonObject {
  const parsed: unknown = JSON.parse(text);
  if (!isObject(parsed)) throw new CosmosError(500, 'A stored document is not an object.');
  return parsed;
}
