import { feedCharge } from '../charges.ts';
import { badContinuation, badRequest, notSupported } from '../errors.ts';
import { header, pageSize } from '../http/context.ts';
import type { Answer, Context } from '../http/context.ts';
import type { ContainerState } from '../resources/catalog.ts';
import type { DocumentRow } from '../storage/store.ts';
import { liveness } from './document-writer.ts';
import { sliceOf } from './feed-slice.ts';
import { replicaFor } from './replica.ts';
import { requireSession, rangeHeaders } from './session.ts';

/**
 * The change feed in latest-version mode: every document that exists, at the place of its last change. The
 * continuation is the log sequence number of the last change seen; it comes back in If-None-Match. Changes of one
 * transaction share a number and are never cut apart, so a page may be longer than was asked for.
 */
export function readChangeFeed(context: Context, container: ContainerState): Answer {
  const mode = header(context, 'a-im') ?? '';
  if (mode.toLowerCase() !== 'incremental feed')
    throw notSupported(`the change feed mode '${mode}' (only Incremental Feed: latest versions)`);
  const feed = sliceOf(context, container);
  const [range] = feed.ranges;
  if (feed.ranges.length !== 1 || range === undefined)
    throw badRequest('A change feed request names a partition key or one partition key range.');
  requireSession(container, header(context, 'x-ms-session-token'));

  const replica = replicaFor(context, container);
  const newest = replica.lsnOf(range);
  const start = startOf(context, newest);
  const rows = replica.reads.changes(
    container.model.no,
    feed.slice,
    liveness(container, context.services.now()),
    start.afterLsn,
    start.sinceSeconds,
  );
  const page = cutPage(rows, pageSize(context));
  if (page.rows.length === 0)
    return {
      status: 304,
      charge: 1,
      body: null,
      headers: { ...rangeHeaders(feed.ranges), etag: `"${Math.max(newest, start.afterLsn)}"` },
    };

  const documents = page.rows.map(({ body, lsn }) => `${body.slice(0, -1)},"_lsn":${lsn}}`);
  const text = `{"_rid":"${container.model.rid}","Documents":[${documents.join(',')}],"_count":${documents.length}}`;
  return {
    status: 200,
    charge: feedCharge(text.length),
    body: text,
    headers: {
      ...rangeHeaders(feed.ranges),
      etag: `"${page.lastLsn}"`,
      'x-ms-item-count': String(documents.length),
    },
  };
}

interface Start {
  readonly afterLsn: number;
  readonly sinceSeconds: number;
}

function startOf(context: Context, currentLsn: number): Start {
  const continuation = header(context, 'if-none-match');
  if (continuation === '*') return { afterLsn: currentLsn, sinceSeconds: 0 };
  if (continuation !== undefined) {
    const lsn = /^(?:W\/)?"?(\d+)"?$/.exec(continuation)?.[1];
    if (lsn === undefined) throw badContinuation(continuation);
    return { afterLsn: Number(lsn), sinceSeconds: 0 };
  }
  const since = header(context, 'if-modified-since');
  if (since === undefined) return { afterLsn: 0, sinceSeconds: 0 };
  const time = Date.parse(since);
  if (Number.isNaN(time)) throw badRequest(`The date ${since} in If-Modified-Since is not a date.`);
  return { afterLsn: 0, sinceSeconds: Math.floor(time / 1000) };
}

/** An answer has at most 4 MB, unless one transaction alone is larger. */
const maximumAnswerBytes = 4 * 1024 * 1024;

function cutPage(rows: Iterable<DocumentRow>, wanted: number): { rows: DocumentRow[]; lastLsn: number } {
  const page: DocumentRow[] = [];
  let lastLsn = 0;
  let bytes = 0;
  for (const row of rows) {
    if (row.lsn !== lastLsn && (page.length >= wanted || bytes + row.body.length > maximumAnswerBytes))
      if (page.length > 0) break;
    page.push(row);
    lastLsn = row.lsn;
    bytes += row.body.length;
  }
  return { rows: page, lastLsn };
}
