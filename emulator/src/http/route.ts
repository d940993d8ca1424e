import type { IncomingHttpHeaders } from 'node:http';

/** What a request is about, for the request log, the fault plan and the throughput limits. */
export type Resource =
  | 'account'
  | 'database'
  | 'container'
  | 'pkranges'
  | 'document'
  | 'user'
  | 'permission'
  | 'offer'
  | 'conflict'
  | 'unknown';

export type Operation =
  | 'read'
  | 'create'
  | 'upsert'
  | 'replace'
  | 'patch'
  | 'delete'
  | 'query'
  | 'queryPlan'
  | 'batch'
  | 'bulk'
  | 'changeFeed'
  | 'list'
  | 'unknown';

export interface Route {
  readonly resource: Resource;
  readonly operation: Operation;
  /** True where the path ends in a resource type: `/dbs`, `/dbs/d/colls`. */
  readonly feed: boolean;
  /** The last resource type of the path, as the signature has it; empty for the account. */
  readonly type: string;
  /** The names on the way: database, container, document and so on, decoded. */
  readonly names: readonly string[];
  /** What a signature is over: the decoded path of the resource, for feeds of their parent. */
  readonly link: string;
}

const shapes: Readonly<Record<string, Resource>> = {
  '': 'account',
  dbs: 'database',
  'dbs/colls': 'container',
  'dbs/colls/pkranges': 'pkranges',
  'dbs/colls/docs': 'document',
  'dbs/colls/conflicts': 'conflict',
  'dbs/users': 'user',
  'dbs/users/permissions': 'permission',
  offers: 'offer',
};

export function parseRoute(method: string, path: string, headers: IncomingHttpHeaders): Route {
  const parts = path.split('/').filter((part) => part !== '');
  const types = parts.filter((_, index) => index % 2 === 0);
  const names = parts.filter((_, index) => index % 2 === 1).map(decode);
  const feed = parts.length % 2 === 1;
  const resource = shapes[types.join('/')] ?? 'unknown';
  if (method === 'POST' && types.join('/') === 'dbs/colls/operations' && names[2] === 'partitionkeydelete')
    return partitionKeyDelete(names);
  const linkParts = parts.map(decode).slice(0, feed ? -1 : undefined);
  return {
    resource,
    operation: operationOf(method, feed, resource, headers),
    feed,
    type: types.at(-1) ?? '',
    names,
    link: linkParts.join('/'),
  };
}

/** Deleting all documents of a partition key: a POST that is signed as one on the container. */
function partitionKeyDelete([database = '', container = '']: readonly string[]): Route {
  return {
    resource: 'document',
    operation: 'delete',
    feed: true,
    type: 'colls',
    names: [database, container],
    link: `dbs/${database}/colls/${container}`,
  };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

const isTrue = (value: string | string[] | undefined): boolean =>
  typeof value === 'string' && value.toLowerCase() === 'true';

function operationOf(
  method: string,
  feed: boolean,
  resource: Resource,
  headers: IncomingHttpHeaders,
): Operation {
  if (!feed) {
    const plain = { GET: 'read', PUT: 'replace', PATCH: 'patch', DELETE: 'delete' } as const;
    return Object.hasOwn(plain, method) ? plain[method as keyof typeof plain] : 'unknown';
  }
  // Most SDKs read partition key ranges as an incremental feed too; that one needs no more rights than a list.
  if (method === 'GET')
    return headers['a-im'] === undefined || resource === 'pkranges' ? 'list' : 'changeFeed';
  if (method !== 'POST') return 'unknown';
  if (resource === 'document' && isTrue(headers['x-ms-cosmos-is-batch-request']))
    return isTrue(headers['x-ms-cosmos-batch-atomic']) ? 'batch' : 'bulk';
  if (isTrue(headers['x-ms-cosmos-is-query-plan-request'])) return 'queryPlan';
  if (
    isTrue(headers['x-ms-documentdb-isquery']) ||
    headers['content-type']?.startsWith('application/query+json') === true
  )
    return 'query';
  return isTrue(headers['x-ms-documentdb-is-upsert']) ? 'upsert' : 'create';
}

/** Operations on documents are data; everything else, query plans included, counts as metadata. */
export function kindOf(route: Route): 'data' | 'metadata' {
  return route.resource === 'document' && route.operation !== 'queryPlan' ? 'data' : 'metadata';
}

const reading: ReadonlySet<Operation> = new Set(['read', 'list', 'query', 'queryPlan', 'changeFeed']);

/** Does the operation leave everything as it is? What a read-only key or a Read permission may do. */
export function isReadOnly(operation: Operation): boolean {
  return reading.has(operation);
}
