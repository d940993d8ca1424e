import { metadataCharge } from '../charges.ts';
import { CosmosError, notFound, notSupported } from '../errors.ts';
import { header, objectBody, pageSize } from '../http/context.ts';
import type { Answer, Context } from '../http/context.ts';
import { ownerHeaders } from '../documents/handlers.ts';
import { queryResources } from '../query-resources.ts';
import { childRid } from '../rid.ts';
import type { ResourceRow, ResourceType, StorageUsage } from '../storage/store.ts';
import { parseBody, textOf } from './catalog.ts';
import { createOffer, offerContent, partitionsFor, replaceOffer } from './offers.ts';
import { newPermissionRid, readScope, refuseSecond, withToken } from './permissions.ts';
import { lifetime } from './permissions.ts';
import { randomBytes } from 'node:crypto';

/** Everything that is not a document. */
export function handleResources(context: Context): Answer {
  const { resource } = context.route;
  switch (resource) {
    case 'account':
      return account(context);
    case 'database':
      return databases(context);
    case 'container':
      return containers(context);
    case 'pkranges':
      return partitionKeyRanges(context);
    case 'conflict':
      return conflicts(context);
    case 'user':
      return users(context);
    case 'permission':
      return permissions(context);
    case 'offer':
      return offers(context);
    default:
      throw notSupported(`the resource type '${context.route.type}'`);
  }
}

const feedNames: Readonly<Record<ResourceType, string>> = {
  database: 'Databases',
  container: 'DocumentCollections',
  user: 'Users',
  permission: 'Permissions',
  offer: 'Offers',
};

type Render = (row: ResourceRow) => string;
const plain: Render = (row) => row.body;

function one(row: ResourceRow, status: 200 | 201, render: Render = plain): Answer {
  const body = render(row);
  return {
    status,
    charge: status === 201 ? metadataCharge.write : metadataCharge.read,
    body,
    headers: { etag: textOf(parseBody(row), '_etag') },
  };
}

const gone: Answer = { status: 204, charge: metadataCharge.write, body: null };

function feed(context: Context, type: ResourceType, parent: string, render: Render = plain): Answer {
  const { rows, continuation } = context.services.catalog.list(
    type,
    parent,
    pageSize(context),
    header(context, 'x-ms-continuation'),
  );
  return feedAnswer(parent, feedNames[type], rows.map(render), continuation);
}

function feedAnswer(
  rid: string,
  name: string,
  texts: readonly string[],
  continuation: string | undefined,
): Answer {
  return {
    status: 200,
    charge: metadataCharge.list,
    body: `{"_rid":${JSON.stringify(rid)},"${name}":[${texts.join(',')}],"_count":${texts.length}}`,
    headers: {
      'x-ms-item-count': String(texts.length),
      ...(continuation === undefined ? {} : { 'x-ms-continuation': continuation }),
    },
  };
}

/** A query over resources of one kind; answers in the form of their feed. */
function query(context: Context, type: ResourceType, parent: string, render: Render = plain): Answer {
  const rows = context.services.catalog.list(type, parent, 100_000, undefined).rows;
  const page = queryResources(context, rows.map(render));
  return feedAnswer(parent, feedNames[type], page.results, page.continuation);
}

const ifMatch = (context: Context): string | undefined => header(context, 'if-match');

function unknownVerb(): never {
  throw new CosmosError(405, 'The requested verb is not supported on this resource.');
}

function account(context: Context): Answer {
  if (context.route.operation !== 'read') unknownVerb();
  const endpoint = endpointFor(context);
  const locations = [{ name: 'Local', databaseAccountEndpoint: endpoint }];
  // The id is not 'localhost': for that one name the SDK ignores the locations and reads the account again and again.
  const body = {
    _self: '',
    id: 'tidemark-emulator',
    _rid: 'tidemark-emulator',
    media: '//media/',
    addresses: '//addresses/',
    _dbs: '//dbs/',
    writableLocations: locations,
    readableLocations: locations,
    enableMultipleWriteLocations: false,
    userReplicationPolicy: { asyncReplication: false, minReplicaSetSize: 1, maxReplicasetSize: 4 },
    userConsistencyPolicy: { defaultConsistencyLevel: 'Session' },
    systemReplicationPolicy: { minReplicaSetSize: 1, maxReplicasetSize: 4 },
    readPolicy: { primaryReadCoefficient: 1, secondaryReadCoefficient: 1 },
    queryEngineConfiguration: '{}',
  };
  return { status: 200, charge: 0, body: JSON.stringify(body) };
}

/** SDKs go on with the address the account names: the one they came by, which may be that of another machine. */
function endpointFor(context: Context): string {
  const endpoint = context.services.endpoint();
  const host = header(context, 'host');
  return host !== undefined && /^[\w.:[\]-]+$/.test(host)
    ? `${endpoint.slice(0, endpoint.indexOf('//'))}//${host}/`
    : endpoint;
}

function databases(context: Context): Answer {
  const { catalog } = context.services;
  const { operation, names } = context.route;
  const named = (): ResourceRow => catalog.get('database', '', names[0] ?? '');
  switch (operation) {
    case 'create': {
      const content = offerContent(context);
      return one(
        context.services.store.transaction(() => {
          const row = catalog.createDatabase(objectBody(context));
          if (content !== undefined) offer(context, row, content);
          return row;
        }),
        201,
      );
    }
    case 'list':
      return feed(context, 'database', '');
    case 'query':
      return query(context, 'database', '');
    case 'read':
      return one(named(), 200);
    case 'delete':
      catalog.remove(named(), ifMatch(context));
      return gone;
    default:
      return unknownVerb();
  }
}

function offer(context: Context, row: ResourceRow, content: ReturnType<typeof offerContent>): void {
  createOffer(context.services.store, randomBytes, context.services.now(), row, content);
}

function containers(context: Context): Answer {
  const { catalog, store } = context.services;
  const { operation, names } = context.route;
  const database = catalog.get('database', '', names[0] ?? '');
  const named = (): ResourceRow => catalog.get('container', database.rid, names[1] ?? '');
  switch (operation) {
    case 'create': {
      const content = offerContent(context);
      const shared = store.resource('offer', '', database.rid) !== undefined;
      const row = store.transaction(() => {
        const created = catalog.createContainer(database, objectBody(context), partitionsFor(content));
        if (!shared || content !== undefined) offer(context, created, content);
        return created;
      });
      return withOwner(context, row, one(row, 201));
    }
    case 'list':
      return feed(context, 'container', database.rid);
    case 'query':
      return query(context, 'container', database.rid);
    case 'read':
      return withOwner(context, named(), one(named(), 200));
    case 'replace': {
      const row = catalog.replaceContainer(database, named(), objectBody(context), ifMatch(context));
      return withOwner(context, row, one(row, 200));
    }
    case 'delete':
      catalog.remove(named(), ifMatch(context));
      return gone;
    default:
      return unknownVerb();
  }
}

function withOwner(context: Context, row: ResourceRow, answer: Answer): Answer {
  const container = context.services.catalog.containerByRid(row.rid);
  if (container === undefined) throw notFound();
  const asked = header(context, 'x-ms-documentdb-populatequotainfo')?.toLowerCase() === 'true';
  const quota = asked ? quotaHeaders(context.services.store.usage(row.no)) : {};
  // The owner of a container is its database; the Java SDK makes the container's own link of it.
  const owner = {
    'x-ms-content-path': container.model.databaseRid,
    'x-ms-alt-content-path': `dbs/${encodeURIComponent(container.model.databaseName)}`,
  };
  return { ...answer, headers: { ...answer.headers, ...owner, ...quota } };
}

/** Sizes in kilobytes. The limit of a container's size is that of one physical partition: 50 GB. */
function quotaHeaders({ documents, bytes }: StorageUsage): Record<string, string> {
  const kilobytes = Math.ceil(bytes / 1024);
  const scripts = (limits: readonly [number, number, number]): string =>
    `functions=${limits[0]};storedProcedures=${limits[1]};triggers=${limits[2]};`;
  return {
    'x-ms-resource-quota': `${scripts([50, 100, 25])}documentSize=2048;documentsSize=52428800;documentsCount=-1;collectionSize=52428800;`,
    'x-ms-resource-usage': `${scripts([0, 0, 0])}documentSize=0;documentsSize=${kilobytes};documentsCount=${documents};collectionSize=${kilobytes};`,
    // Indexes are always up to date here.
    'x-ms-documentdb-collection-index-transformation-progress': '100',
  };
}

function partitionKeyRanges(context: Context): Answer {
  const { container } = context;
  if (container === undefined) throw notFound();
  if (context.route.operation !== 'list') unknownVerb();
  const { rid, databaseRid } = container.model;
  const etag = `"${container.ranges.map(({ id }) => id).join('-')}"`;
  const seen = header(context, 'if-none-match');
  if (seen === etag) return { status: 304, charge: 0, body: null, headers: { etag } };
  // As an incremental feed: only what came since. Clients join it to what they have by the parents.
  const known = header(context, 'a-im') === undefined ? [] : (seen?.replaceAll('"', '').split('-') ?? []);
  const texts = container.ranges.flatMap((range, index) => {
    if (known.includes(range.id)) return [];
    const own = childRid(rid, 'range', Number(range.id) + 2);
    return JSON.stringify({
      _rid: own,
      id: range.id,
      _etag: `"${container.row.no}-${range.id}"`,
      minInclusive: range.min,
      maxExclusive: range.max,
      ridPrefix: index,
      _self: `dbs/${databaseRid}/colls/${rid}/pkranges/${own}/`,
      throughputFraction: 1 / container.ranges.length,
      status: 'online',
      parents: range.parents,
    });
  });
  const answer = feedAnswer(rid, 'PartitionKeyRanges', texts, undefined);
  return { ...answer, headers: { ...answer.headers, etag, ...ownerHeaders(container) } };
}

/** One region has no conflicts: the feed is there and always empty. */
function conflicts({ container, route }: Context): Answer {
  if (container === undefined) throw notFound();
  if (route.operation !== 'list' && route.operation !== 'query') throw notFound();
  return feedAnswer(container.model.rid, 'Conflicts', [], undefined);
}

function users(context: Context): Answer {
  const { catalog } = context.services;
  const { operation, names } = context.route;
  const database = catalog.get('database', '', names[0] ?? '');
  const named = (): ResourceRow => catalog.get('user', database.rid, names[1] ?? '');
  switch (operation) {
    case 'create':
      return one(catalog.createUser(database, objectBody(context)), 201);
    case 'upsert': {
      const body = objectBody(context);
      const found =
        typeof body['id'] === 'string' ? catalog.find('user', database.rid, body['id']) : undefined;
      return found === undefined
        ? one(catalog.createUser(database, body), 201)
        : one(catalog.replace(found, body, ifMatch(context)), 200);
    }
    case 'list':
      return feed(context, 'user', database.rid);
    case 'query':
      return query(context, 'user', database.rid);
    case 'read':
      return one(named(), 200);
    case 'replace':
      return one(catalog.replace(named(), objectBody(context), ifMatch(context)), 200);
    case 'delete':
      catalog.remove(named(), ifMatch(context));
      return gone;
    default:
      return unknownVerb();
  }
}

function permissions(context: Context): Answer {
  const { services } = context;
  const { catalog } = services;
  const { operation, names } = context.route;
  const database = catalog.get('database', '', names[0] ?? '');
  const user = catalog.get('user', database.rid, names[1] ?? '');
  const named = (): ResourceRow => catalog.get('permission', user.rid, names[2] ?? '');
  const render: Render = (row) => withToken(context, row);
  lifetime(header(context, 'x-ms-documentdb-expiry-seconds'));
  const create = (body: ReturnType<typeof objectBody>): Answer => {
    readScope(services, body);
    refuseSecond(services, user, body, null);
    const rid = newPermissionRid(services, user);
    const self = `dbs/${database.rid}/users/${user.rid}/permissions/${rid}/`;
    return one(catalog.createPermission(user, body, rid, self), 201, render);
  };
  const replace = (row: ResourceRow, body: ReturnType<typeof objectBody>): Answer => {
    const definition = { ...body };
    // Read from an answer and sent back: the token in it is not part of the definition.
    delete definition['_token'];
    readScope(services, definition);
    refuseSecond(services, user, definition, row.rid);
    return one(catalog.replace(row, definition, ifMatch(context)), 200, render);
  };
  switch (operation) {
    case 'create':
      return create(objectBody(context));
    case 'upsert': {
      const body = objectBody(context);
      const found =
        typeof body['id'] === 'string' ? catalog.find('permission', user.rid, body['id']) : undefined;
      return found === undefined ? create(body) : replace(found, body);
    }
    case 'list':
      return feed(context, 'permission', user.rid, render);
    case 'query':
      return query(context, 'permission', user.rid, render);
    case 'read':
      return one(named(), 200, render);
    case 'replace':
      return replace(named(), objectBody(context));
    case 'delete':
      catalog.remove(named(), ifMatch(context));
      return gone;
    default:
      return unknownVerb();
  }
}

function offers(context: Context): Answer {
  const { catalog, store, now } = context.services;
  const { operation, names } = context.route;
  const named = (): ResourceRow => catalog.get('offer', '', names[0] ?? '');
  switch (operation) {
    case 'list':
      return feed(context, 'offer', '');
    case 'query':
      return query(context, 'offer', '');
    case 'read':
      return one(named(), 200);
    case 'replace':
      return one(replaceOffer(store, named(), objectBody(context), now()), 200);
    default:
      return unknownVerb();
  }
}
