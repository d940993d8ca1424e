import { badRequest, CosmosError } from '../errors.ts';
import { isObject } from '../json.ts';
import type { JsonObject, JsonValue } from '../json.ts';
import { canonicalKey, parseKeyValues } from '../partition/partition-key.ts';
import { chargeOf } from './document-writer.ts';
import type { DocumentResult, DocumentWriter, WriterServices } from './document-writer.ts';
import { writeTo } from './partition.ts';
import type { Partition } from './partition.ts';
import { parsePatch } from './patch.ts';

/**
 * The transactional batch: at most 100 operations on one logical partition, all or nothing. On failure the culprit
 * keeps its own status and every other operation answers 424; the answer as a whole is 207.
 */
export const maximumBatchOperations = 100;

export interface OperationAnswer {
  readonly statusCode: number;
  readonly subStatusCode?: number;
  readonly requestCharge: number;
  readonly eTag?: string;
  readonly retryAfterMilliseconds?: number;
  /** JSON text, put into the answer as it is. */
  readonly body?: string;
}

export interface BatchAnswer {
  readonly status: 200 | 207;
  readonly charge: number;
  readonly operations: readonly OperationAnswer[];
}

export function parseBatch(body: JsonValue | undefined): JsonObject[] {
  if (!Array.isArray(body) || body.length === 0)
    throw badRequest('A batch is a JSON array of operations, at least one.');
  if (body.length > maximumBatchOperations)
    throw badRequest(`Batch request has more operations than what is supported: ${maximumBatchOperations}.`);
  return body.map((operation) => {
    if (!isObject(operation)) throw badRequest('Every operation of a batch is an object.');
    return operation;
  });
}

class RolledBack extends Error {
  readonly index: number;
  override readonly cause: CosmosError;

  constructor(index: number, cause: CosmosError) {
    super(cause.message);
    this.index = index;
    this.cause = cause;
  }
}

export function runBatch(
  services: WriterServices,
  partition: Partition,
  operations: readonly JsonObject[],
  minimal: boolean,
): BatchAnswer {
  for (const operation of operations) refuseOtherKey(operation, partition);
  try {
    const results = writeTo(services, partition, (writer) =>
      operations.map((operation, index) => {
        try {
          return applyOperation(writer, operation);
        } catch (error) {
          if (error instanceof CosmosError) throw new RolledBack(index, error);
          throw error;
        }
      }),
    );
    const answers = results.map((result, index) =>
      toAnswer(result, minimal && operations[index]?.['operationType'] !== 'Read'),
    );
    return { status: 200, charge: sumCharges(answers), operations: answers };
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error;
    const answers = operations.map((_, index) =>
      index === error.index ? toRefusal(error.cause) : { statusCode: 424, requestCharge: 0 },
    );
    return { status: 207, charge: Math.max(1, sumCharges(answers)), operations: answers };
  }
}

export const sumCharges = (answers: readonly OperationAnswer[]): number =>
  Math.round(answers.reduce((total, { requestCharge }) => total + requestCharge, 0) * 100) / 100;

/** An operation may repeat the partition key of the request; one that names another fails the request as a whole. */
function refuseOtherKey(operation: JsonObject, partition: Partition): void {
  const given = operation['partitionKey'];
  if (given === undefined) return;
  let parsed: unknown = given;
  if (typeof given === 'string') {
    try {
      parsed = JSON.parse(given);
    } catch {
      parsed = undefined;
    }
  }
  const values = parseKeyValues(parsed);
  if (values === undefined || canonicalKey(values) !== partition.key)
    throw badRequest(
      'One or more operations within the batch request have a different partition key value than the request.',
      1001,
    );
}

/** Applies one operation of a batch, atomic or not. */
export function applyOperation(writer: DocumentWriter, operation: JsonObject): DocumentResult {
  const { operationType, resourceBody } = operation;
  const conditions = { ifMatch: text(operation['ifMatch']), ifNoneMatch: text(operation['ifNoneMatch']) };
  switch (operationType) {
    case 'Create':
      return writer.create(resourceBody);
    case 'Upsert':
      return writer.upsert(resourceBody, conditions);
    case 'Read':
      return writer.read(idOf(operation), conditions);
    case 'Replace':
      return writer.replace(idOf(operation), resourceBody, conditions);
    case 'Delete':
      return writer.delete(idOf(operation), conditions);
    case 'Patch':
      return writer.patch(idOf(operation), parsePatch(resourceBody), conditions);
    default:
      throw badRequest(`The batch operation ${JSON.stringify(operationType)} is not known.`);
  }
}

const text = (value: JsonValue | undefined): string | undefined =>
  typeof value === 'string' ? value : undefined;

function idOf(operation: JsonObject): string {
  const { id } = operation;
  if (typeof id !== 'string' || id === '') throw badRequest('The batch operation needs an id.');
  return id;
}

/** With `Prefer: return=minimal` writes answer without their document. */
export function toAnswer(result: DocumentResult, minimal: boolean): OperationAnswer {
  return {
    statusCode: result.status,
    requestCharge: result.charge,
    ...(result.etag === undefined ? {} : { eTag: result.etag }),
    ...(result.body === undefined || minimal ? {} : { body: result.body }),
  };
}

export function toRefusal(error: CosmosError): OperationAnswer {
  return {
    statusCode: error.status,
    subStatusCode: error.subStatus,
    requestCharge: chargeOf(error),
  };
}

/** The answer's text. Documents are already text and go in as they are. */
export function batchText(answers: readonly OperationAnswer[]): string {
  const texts = answers.map(({ body, ...rest }) => {
    const head = JSON.stringify(rest);
    return body === undefined ? head : `${head.slice(0, -1)},"resourceBody":${body}}`;
  });
  return `[${texts.join(',')}]`;
}
