import { badRequest } from '../errors.ts';
import { header } from '../http/context.ts';
import type { Context } from '../http/context.ts';
import { isObject } from '../json.ts';
import type { JsonObject } from '../json.ts';
import { offerRid } from '../rid.ts';
import type { ResourceRow, Store } from '../storage/store.ts';
import { parseBody } from './catalog.ts';
import { makeEtag, withoutSystem } from './system-properties.ts';

/** Provisioned throughput of a database or container: manual or autoscale. */
const defaultThroughput = 400;

/** What the headers of a create ask for; undefined where they say nothing. */
export function offerContent(context: Context): JsonObject | undefined {
  const manual = header(context, 'x-ms-offer-throughput');
  const autoscale = header(context, 'x-ms-cosmos-offer-autopilot-settings');
  if (autoscale !== undefined) {
    const settings: unknown = parse(autoscale);
    const maximum = isObject(settings) ? settings['maxThroughput'] : undefined;
    if (!isObject(settings) || typeof maximum !== 'number' || maximum < 1000 || maximum % 1000 !== 0)
      throw badRequest('The autoscale settings need a maxThroughput from 1000 in steps of 1000.');
    return { offerThroughput: maximum / 10, offerAutopilotSettings: settings };
  }
  return manual === undefined ? undefined : { offerThroughput: checkThroughput(Number(manual)) };
}

/**
 * One physical partition serves 10,000 request units per second (service quotas); a container made with more begins
 * with one for each 6,000: the documentation and the SDKs' tests count on 5 for 30,000, 4 for 21,000, 2 for 10,100.
 */
const throughput = { ofOne: 10_000, ofEach: 6_000 };
const mostPartitions = 100;

/** How many physical partitions a new container begins with for the throughput that was asked for. */
export function partitionsFor(content: JsonObject | undefined): number {
  const settings = content?.['offerAutopilotSettings'];
  const asked = isObject(settings) ? settings['maxThroughput'] : content?.['offerThroughput'];
  if (typeof asked !== 'number' || asked <= throughput.ofOne) return 1;
  return Math.min(mostPartitions, Math.ceil(asked / throughput.ofEach));
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function checkThroughput(value: unknown): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 400 || value % 100 !== 0)
    throw badRequest('The offer throughput is a number from 400 in steps of 100.');
  return value;
}

export function createOffer(
  store: Store,
  random: (bytes: number) => Buffer,
  now: number,
  resource: ResourceRow,
  content: JsonObject | undefined,
): void {
  const rid = offerRid(random);
  const seconds = Math.floor(now / 1000);
  const body = {
    resource: parseBody(resource)['_self'] ?? '',
    offerType: 'Invalid',
    offerVersion: 'V2',
    offerResourceId: resource.rid,
    content: content ?? { offerThroughput: defaultThroughput },
    id: rid,
    _rid: rid,
    _self: `offers/${rid}/`,
    _etag: makeEtag(store.nextNumber(), 0, 0, seconds),
    _ts: seconds,
  };
  store.insertResource({
    type: 'offer',
    parent: '',
    name: resource.rid,
    rid,
    body: JSON.stringify(body),
  });
}

/** A replace changes the content and nothing else. */
export function replaceOffer(store: Store, row: ResourceRow, body: JsonObject, now: number): ResourceRow {
  const old = parseBody(row);
  const { content } = withoutSystem(body);
  if (!isObject(content)) throw badRequest('An offer needs a content.');
  const settings = content['offerAutopilotSettings'];
  if (settings === undefined) checkThroughput(content['offerThroughput']);
  const seconds = Math.floor(now / 1000);
  const next = { ...old, content, _etag: makeEtag(store.nextNumber(), 0, 0, seconds), _ts: seconds };
  const text = JSON.stringify(next);
  store.transaction(() => store.updateResource(row.no, row.name, text));
  return { ...row, body: text };
}
