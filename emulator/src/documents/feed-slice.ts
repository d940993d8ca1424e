import { badRequest, CosmosError } from '../errors.ts';
import { header } from '../http/context.ts';
import type { Context } from '../http/context.ts';
import type { ContainerState, RangeState } from '../resources/catalog.ts';
import type { Slice } from '../storage/store.ts';
import { effectiveKey } from '../partition/effective-key.ts';
import { keyFromHeader, resolvePartition } from './partition.ts';

/** Which documents a feed or a query is over, and which physical partitions hold them. */
export interface FeedSlice {
  readonly slice: Slice;
  readonly ranges: readonly RangeState[];
  /** True where one logical or one physical partition was asked for: the answer needs no merging. */
  readonly single: boolean;
}

/** Partition key header first, then the partition key range, then the whole container. */
export function sliceOf(context: Pick<Context, 'headers'>, container: ContainerState): FeedSlice {
  const key = header(context, 'x-ms-documentdb-partitionkey');
  if (key !== undefined) return keySlice(container, key);
  const rangeId = header(context, 'x-ms-documentdb-partitionkeyrangeid');
  const startEpk = header(context, 'x-ms-start-epk');
  const endEpk = header(context, 'x-ms-end-epk');
  if (rangeId !== undefined) {
    const range = rangeById(container, rangeId);
    const whole = startEpk === undefined && endEpk === undefined;
    const slice = whole
      ? { min: '', max: 'FF', range: range.id }
      : { min: startEpk ?? range.min, max: endEpk ?? range.max, range: range.id };
    return { slice, ranges: [range], single: true };
  }
  if (startEpk !== undefined || endEpk !== undefined) {
    const slice = { min: startEpk ?? '', max: endEpk ?? 'FF' };
    const ranges = container.ranges.filter(({ min, max }) => min < slice.max && slice.min < max);
    return { slice, ranges, single: false };
  }
  return { slice: { min: '', max: 'FF' }, ranges: container.ranges, single: false };
}

function keySlice(container: ContainerState, headerText: string): FeedSlice {
  const values = keyFromHeader(container, headerText);
  if (container.model.key.kind === 'MultiHash' && values.length < container.model.keyPaths.length) {
    // A prefix of a hierarchical key is a stretch of the line: everything whose hash begins like this.
    if (values.length === 0) throw badRequest('The partition key header has no values.');
    const min = effectiveKey(values, container.model.key);
    const slice = { min, max: `${min}FF` };
    const ranges = container.ranges.filter((range) => range.min < slice.max && slice.min < range.max);
    return { slice, ranges, single: ranges.length === 1 };
  }
  const partition = resolvePartition(container, values);
  return { slice: { pk: partition.key }, ranges: [partition.range], single: true };
}

/** SDKs send the id alone; others put the container's rid before it. */
export function rangeById(container: ContainerState, text: string): RangeState {
  const id = text.split(',').at(-1) ?? '';
  const range = container.ranges.find((candidate) => candidate.id === id);
  if (range === undefined)
    throw new CosmosError(410, `The partition key range ${id} is gone: it was split.`, { subStatus: 1002 });
  return range;
}
