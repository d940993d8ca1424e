import { badRequest, CosmosError } from '../errors.ts';
import { effectiveKey } from '../partition/effective-key.ts';
import { canonicalKey, parseKeyHeader } from '../partition/partition-key.ts';
import type { KeyValue } from '../partition/partition-key.ts';
import type { ContainerState, RangeState } from '../resources/catalog.ts';
import { DocumentWriter } from './document-writer.ts';
import type { WriterServices } from './document-writer.ts';

/** A logical partition of a container, resolved: its key, its place on the line, its physical partition. */
export interface Partition {
  readonly container: ContainerState;
  readonly values: readonly KeyValue[];
  readonly key: string;
  readonly epk: string;
  readonly range: RangeState;
}

/** Effective keys are slow to compute and few keys are hot: the last ones are kept. */
const remembered = 5_000;
const cache = new WeakMap<ContainerState, Map<string, string>>();

function effectiveKeyOf(container: ContainerState, key: string, values: readonly KeyValue[]): string {
  let known = cache.get(container);
  if (known === undefined) {
    known = new Map();
    cache.set(container, known);
  }
  let epk = known.get(key);
  if (epk === undefined) {
    epk = effectiveKey(values, container.model.key);
    if (known.size >= remembered) known.clear();
    known.set(key, epk);
  }
  return epk;
}

/** An empty array in the header stands for None where the service made the key itself. */
export function keyFromHeader(container: ContainerState, header: string): readonly KeyValue[] {
  const values = parseKeyHeader(header);
  if (values.length === 0 && container.model.key.systemKey) return [{}];
  return values;
}

export function resolvePartition(container: ContainerState, values: readonly KeyValue[]): Partition {
  if (values.length !== container.model.keyPaths.length)
    throw badRequest(
      `Partition key provided either doesn't correspond to definition in the collection or doesn't match partition key field values specified in the document: ` +
        `${values.length} values for ${container.model.keyPaths.length} paths.`,
      1001,
    );
  const key = canonicalKey(values);
  const epk = effectiveKeyOf(container, key, values);
  return { container, values, key, epk, range: rangeOf(container, epk) };
}

export function rangeOf(container: ContainerState, epk: string): RangeState {
  const range = container.ranges.find(({ min, max }) => min <= epk && epk < max);
  if (range === undefined)
    throw new CosmosError(410, 'The partition key range is gone.', { subStatus: 1002 });
  return range;
}

/**
 * Runs work on one logical partition as one transaction. The log sequence number is spent only when something
 * changed, and is known outside only when the change is durable.
 */
export function writeTo<T>(
  services: WriterServices,
  partition: Partition,
  work: (writer: DocumentWriter) => T,
): T {
  const { container, range, values, epk } = partition;
  const lsn = range.lsn + 1;
  const writer = new DocumentWriter(services, container, range, values, epk, lsn);
  const result = services.store.transaction(() => {
    const outcome = work(writer);
    if (writer.steps > 0) services.store.saveLsn(container.model.no, range.id, lsn);
    return outcome;
  });
  if (writer.steps > 0) range.lsn = lsn;
  services.history.add(writer.changes);
  return result;
}

/** Reads need no transaction: one statement sees one state. */
export function readFrom(services: WriterServices, partition: Partition): DocumentWriter {
  const { container, range, values, epk } = partition;
  return new DocumentWriter(services, container, range, values, epk, range.lsn);
}
