import { feedCharge, metadataCharge, readCharge } from '../charges.ts';
import { badContinuation, badRequest, CosmosError, notSupported } from '../errors.ts';
import { header, jsonBody, pageSize } from '../http/context.ts';
import type { Answer, Context } from '../http/context.ts';
import type { ContainerState } from '../resources/catalog.ts';
import { batchText, parseBatch, runBatch } from './batch.ts';
import { runBulk } from './bulk.ts';
import { readChangeFeed } from './change-feed.ts';
import { liveness } from './document-writer.ts';
import type { DocumentResult } from './document-writer.ts';
import { rangeById, sliceOf } from './feed-slice.ts';
import { keyFromHeader, readFrom, resolvePartition, writeTo } from './partition.ts';
import type { Partition } from './partition.ts';
import { parsePatch } from './patch.ts';
import { replicaFor } from './replica.ts';
import { requireSession, rangeHeaders } from './session.ts';

/** Everything under /dbs/{database}/colls/{container}/docs except queries. */
export function handleDocuments(context: Context, container: ContainerState): Answer {
  refuseTriggers(context);
  const { operation } = context.route;
  const answer = run(context, container, operation);
  return { ...answer, headers: { ...ownerHeaders(container), ...answer.headers } };
}

/** Which container answered: the SDKs file session tokens under these. */
export function ownerHeaders(container: ContainerState): Record<string, string> {
  const { model } = container;
  return {
    'x-ms-content-path': model.rid,
    'x-ms-alt-content-path': `dbs/${encodeURIComponent(model.databaseName)}/colls/${encodeURIComponent(model.name)}`,
  };
}

function refuseTriggers(context: Context): void {
  for (const name of ['x-ms-documentdb-pre-trigger-include', 'x-ms-documentdb-post-trigger-include'])
    if (header(context, name) !== undefined) throw notSupported('triggers');
}

function run(context: Context, container: ContainerState, operation: string): Answer {
  switch (operation) {
    case 'create':
      return write(context, container, (writer) => writer.create(jsonBody(context)));
    case 'upsert':
      return write(context, container, (writer) => writer.upsert(jsonBody(context), conditions(context)));
    case 'replace':
      return write(context, container, (writer) =>
        writer.replace(documentName(context), jsonBody(context), conditions(context)),
      );
    case 'patch':
      return write(context, container, (writer) =>
        writer.patch(documentName(context), parsePatch(jsonBody(context)), conditions(context)),
      );
    case 'delete':
      if (context.route.feed) return deletePartition(context, container);
      return write(context, container, (writer) => writer.delete(documentName(context), conditions(context)));
    case 'read':
      return read(context, container);
    case 'list':
      return list(context, container);
    case 'changeFeed':
      return readChangeFeed(context, container);
    case 'batch':
      return batch(context, container);
    case 'bulk':
      return bulk(context, container);
    default:
      throw new CosmosError(405, 'The requested verb is not supported on documents.');
  }
}

const conditions = (context: Context) => ({
  ifMatch: header(context, 'if-match'),
  ifNoneMatch: header(context, 'if-none-match'),
});

const documentName = (context: Context): string => context.route.names[2] ?? '';

export function partitionOf(context: Context, container: ContainerState): Partition {
  const text = header(context, 'x-ms-documentdb-partitionkey');
  if (text === undefined) throw badRequest('PartitionKey value must be supplied for this operation.');
  return resolvePartition(container, keyFromHeader(container, text));
}

export const wantsMinimal = (context: Context): boolean =>
  header(context, 'prefer')?.toLowerCase() === 'return=minimal';

type Writer = Parameters<Parameters<typeof writeTo>[2]>[0];

function write(
  context: Context,
  container: ContainerState,
  work: (writer: Writer) => DocumentResult,
): Answer {
  const partition = partitionOf(context, container);
  const result = writeTo(context.services, partition, work);
  return {
    status: result.status,
    charge: result.charge,
    body: wantsMinimal(context) ? null : (result.body ?? null),
    headers: { ...etagHeader(result), ...positionHeaders(partition) },
  };
}

const etagHeader = (result: DocumentResult): Record<string, string> =>
  result.etag === undefined ? {} : { etag: result.etag };

const positionHeaders = ({ range }: Pick<Partition, 'range'>): Record<string, string> => ({
  ...rangeHeaders([range]),
  lsn: String(range.lsn),
});

function read(context: Context, container: ContainerState): Answer {
  requireSession(container, header(context, 'x-ms-session-token'));
  const partition = partitionOf(context, container);
  const { reads } = replicaFor(context, container);
  const result = readFrom(context.services, partition).read(
    documentName(context),
    conditions(context),
    reads,
  );
  return {
    status: result.status,
    charge: result.charge,
    body: result.body ?? null,
    headers: { ...etagHeader(result), ...positionHeaders(partition) },
  };
}

/**
 * The plain feed: documents in the order they were made. The continuation is the number of the last one; a full page
 * has one even where nothing follows, as the service does not look ahead.
 */
function list(context: Context, container: ContainerState): Answer {
  requireSession(container, header(context, 'x-ms-session-token'));
  const wanted = pageSize(context);
  const { slice, ranges } = sliceOf(context, container);
  const continuation = header(context, 'x-ms-continuation') ?? '0';
  const after = Number(continuation);
  if (!Number.isSafeInteger(after)) throw badContinuation(continuation);
  const rows = replicaFor(context, container).reads.documents(
    container.model.no,
    slice,
    liveness(container, context.services.now()),
    after,
  );
  const bodies: string[] = [];
  let last = 0;
  for (const row of rows) {
    bodies.push(row.body);
    last = row.no;
    if (bodies.length === wanted) break;
  }
  const text = `{"_rid":"${container.model.rid}","Documents":[${bodies.join(',')}],"_count":${bodies.length}}`;
  return {
    status: 200,
    charge: bodies.length === 0 ? readCharge(0) : feedCharge(text.length),
    body: text,
    headers: {
      ...rangeHeaders(ranges),
      'x-ms-item-count': String(bodies.length),
      ...(bodies.length === wanted ? { 'x-ms-continuation': String(last) } : {}),
    },
  };
}

/** Operations on one physical partition, each for itself. */
function bulk(context: Context, container: ContainerState): Answer {
  const operations = parseBatch(jsonBody(context));
  const id = header(context, 'x-ms-documentdb-partitionkeyrangeid');
  if (id === undefined) throw badRequest('A bulk request names the partition key range it is for.');
  const range = rangeById(container, id);
  const result = runBulk(context.services, container, range, operations, {
    minimal: wantsMinimal(context),
    budget: context.budget,
    continueOnError: header(context, 'x-ms-cosmos-batch-continue-on-error')?.toLowerCase() !== 'false',
  });
  return {
    status: result.status,
    charge: result.charge,
    body: batchText(result.operations),
    headers: positionHeaders({ range }),
    operations: operations.length,
  };
}

/** Every document of a logical partition, gone at once; the service does it in the background. */
function deletePartition(context: Context, container: ContainerState): Answer {
  const partition = partitionOf(context, container);
  writeTo(context.services, partition, (writer) => writer.deleteAll());
  return { status: 200, charge: metadataCharge.write, body: null, headers: positionHeaders(partition) };
}

const maximumBatchBytes = 2 * 1024 * 1024;

function batch(context: Context, container: ContainerState): Answer {
  if (context.body.length > maximumBatchBytes)
    throw new CosmosError(413, 'Request size is too large: a batch has at most 2 MB.');
  const operations = parseBatch(jsonBody(context));
  const partition = partitionOf(context, container);
  const result = runBatch(context.services, partition, operations, wantsMinimal(context));
  return {
    status: result.status,
    charge: result.charge,
    body: batchText(result.operations),
    headers: positionHeaders(partition),
    operations: operations.length,
  };
}
