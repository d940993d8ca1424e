import { badRequest, CosmosError } from '../errors.ts';
import type { JsonObject } from '../json.ts';
import { parseKeyHeader } from '../partition/partition-key.ts';
import type { ContainerState, RangeState } from '../resources/catalog.ts';
import { applyOperation, sumCharges, toAnswer, toRefusal } from './batch.ts';
import type { OperationAnswer } from './batch.ts';
import { DocumentWriter } from './document-writer.ts';
import type { WriterServices } from './document-writer.ts';
import type { Change } from '../storage/lagging-replica.ts';
import { resolvePartition } from './partition.ts';
import type { Partition } from './partition.ts';

export interface BulkAnswer {
  readonly status: 200 | 207;
  readonly charge: number;
  readonly operations: readonly OperationAnswer[];
}

/** What is left of the throughput of the physical partition, asked and spent operation by operation. */
export interface BulkBudget {
  /** Milliseconds to wait before the next operation; 0: none. */
  waitFor(): number;
  spend(charge: number): void;
}

export interface BulkOptions {
  readonly budget?: BulkBudget | undefined;
  readonly minimal: boolean;
  /** False: after the first failure the rest answers 424 and is not tried. */
  readonly continueOnError: boolean;
}

/**
 * Bulk: operations on many logical partitions of one physical partition, each for itself. They share one commit,
 * which is what makes bulk fast, but not a log sequence number: each is a change of its own.
 */
export function runBulk(
  services: WriterServices,
  container: ContainerState,
  range: RangeState,
  operations: readonly JsonObject[],
  options: BulkOptions,
): BulkAnswer {
  const partitions = operations.map((operation) => partitionOf(container, operation));
  if (partitions.some((partition) => 'range' in partition && partition.range !== range))
    throw new CosmosError(410, 'The partition key range of an operation is another one: it was split.', {
      subStatus: 1002,
    });
  let { lsn } = range;
  const replaced: Change[] = [];
  const answers = services.store.transaction(() => {
    const done: OperationAnswer[] = [];
    for (const [index, operation] of operations.entries()) {
      const partition = partitions[index];
      const wait = options.budget?.waitFor() ?? 0;
      const stopped = !options.continueOnError && done.some(({ statusCode }) => statusCode >= 400);
      if (partition === undefined || stopped) done.push({ statusCode: 424, requestCharge: 0 });
      else if (wait > 0) done.push(tooMany(wait));
      else if (partition instanceof CosmosError) done.push(toRefusal(partition));
      else {
        const { answer, changes, changed } = applyOne(
          services,
          partition,
          lsn + 1,
          operation,
          options.minimal,
        );
        if (changed) lsn++;
        replaced.push(...changes);
        done.push(answer);
        options.budget?.spend(answer.requestCharge);
      }
    }
    if (lsn !== range.lsn) services.store.saveLsn(container.model.no, range.id, lsn);
    return done;
  });
  range.lsn = lsn;
  services.history.add(replaced);
  const failed = answers.some(({ statusCode }) => statusCode >= 400);
  return { status: failed ? 207 : 200, charge: sumCharges(answers), operations: answers };
}

const tooMany = (wait: number): OperationAnswer => ({
  statusCode: 429,
  subStatusCode: 3200,
  requestCharge: 0,
  retryAfterMilliseconds: wait,
});

/** Where an operation goes; an error where it does not say so rightly, which is that operation's answer. */
function partitionOf(container: ContainerState, operation: JsonObject): Partition | CosmosError {
  try {
    const { partitionKey } = operation;
    if (typeof partitionKey !== 'string')
      throw badRequest('Every operation of a bulk request names its partition key, as JSON text.');
    const values = parseKeyHeader(partitionKey);
    const isSystem = values.length === 0 && container.model.key.systemKey;
    return resolvePartition(container, isSystem ? [{}] : values);
  } catch (error) {
    if (error instanceof CosmosError) return error;
    throw error;
  }
}

function applyOne(
  services: WriterServices,
  partition: Partition,
  lsn: number,
  operation: JsonObject,
  minimal: boolean,
): { answer: OperationAnswer; changes: readonly Change[]; changed: boolean } {
  const { container, range, values, epk } = partition;
  const writer = new DocumentWriter(services, container, range, values, epk, lsn);
  try {
    const result = applyOperation(writer, operation);
    const answer = toAnswer(result, minimal && operation['operationType'] !== 'Read');
    return { answer, changes: writer.changes, changed: writer.steps > 0 };
  } catch (error) {
    if (!(error instanceof CosmosError)) throw error;
    return { answer: toRefusal(error), changes: [], changed: false };
  }
}
