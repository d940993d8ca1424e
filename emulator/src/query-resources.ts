import { RowCursor } from './documents/cursors.ts';
import { cutRows, querySpec, readToken } from './documents/query.ts';
import { header, pageSize } from './http/context.ts';
import type { Context } from './http/context.ts';
import { isObject } from './json.ts';
import type { JsonObject } from './json.ts';
import { compileQuery } from './query-engine.ts';

/** A query over databases, containers, users, permissions or offers: over the resources as they are answered. */
export function queryResources(
  context: Context,
  texts: readonly string[],
): { results: readonly string[]; continuation: string | undefined } {
  const query = compileQuery(querySpec(context), context.services.now);
  const resources = texts
    .map((text): unknown => JSON.parse(text))
    .filter((resource): resource is JsonObject => isObject(resource));
  const token = readToken(header(context, 'x-ms-continuation'), ['o']) as { o: number } | undefined;
  const page = cutRows(new RowCursor(query.run(resources)), token?.o ?? 0, pageSize(context));
  return { results: page.rows, continuation: page.continuation };
}
