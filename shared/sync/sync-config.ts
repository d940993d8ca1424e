import { evaluate, parse, type DocumentNode } from '@humanwhocodes/momoa';
import { Type, type Static } from 'typebox';
import { ROLES, type Role, type RoleMapping } from '../auth/identity.ts';
import { STRATEGIES, fieldRules, pointerKeys, type JsonObject, type Strategy } from '../conflict/index.ts';
import { COLLECTION_PATTERN } from '../protocol/index.ts';
import { compileDocumentSchema, compileSchema } from '../validation/validator.ts';

/** Two of these and their envelopes fit into one batch of Cosmos DB, and one into an item. */
const MAX_DOCUMENT_BYTES = 921_600;

/** RFC 6901, not the whole document. */
const POINTER_PATTERN = '^(?:/(?:[^~/]|~0|~1)+)+$';

const FieldSettingSchema = Type.Object(
  {
    owner: Type.Optional(
      Type.Union([Type.Literal('client'), Type.Literal('server'), Type.Literal('newest')], {
        description:
          '`client`, `newest`: whose value stays where both sides changed it. `server`: a client never writes it.',
      }),
    ),
    array: Type.Optional(
      Type.Union(
        [
          Type.Literal('value'),
          Type.Literal('set'),
          Type.Object({ key: Type.String({ minLength: 1 }) }, { additionalProperties: false }),
        ],
        {
          description:
            'Is an array one value, a set of values, or a set of objects told apart by the member that `key` names?',
        },
      ),
    ),
  },
  { additionalProperties: false },
);

/** The schema of `sync.config.json`: which collections there are, and how each is synced. */
export const SyncConfigFile = Type.Object(
  {
    $schema: Type.Optional(Type.String()),
    collections: Type.Record(
      Type.String({ pattern: COLLECTION_PATTERN }),
      Type.Object(
        {
          scope: Type.Optional(
            Type.String({
              pattern: '^[a-z][a-z0-9-]{0,31}$',
              description: 'Kind of scope; `user` is private.',
            }),
          ),
          strategy: Type.Optional(
            Type.Enum([...STRATEGIES], {
              description:
                'How two writes that knew nothing of each other are settled; `last_write_wins` by default.',
            }),
          ),
          defaultOwner: Type.Optional(
            Type.Union([Type.Literal('client'), Type.Literal('server'), Type.Literal('newest')], {
              description:
                'Under `field_level_merge`: owner of the fields that `fields` does not name; `newest` by default.',
            }),
          ),
          fields: Type.Optional(
            Type.Record(Type.String({ pattern: POINTER_PATTERN }), FieldSettingSchema, {
              additionalProperties: false,
              description: 'Under `field_level_merge`: JSON Pointer to what holds there and below.',
            }),
          ),
          schema: Type.Optional(
            Type.Record(Type.String(), Type.Unknown(), {
              description: 'JSON Schema (2020-12) of the documents. Formats are checked.',
            }),
          ),
          maxDocumentBytes: Type.Optional(Type.Integer({ minimum: 256, maximum: MAX_DOCUMENT_BYTES })),
          direct: Type.Optional(
            Type.Boolean({ description: 'May holders of a resource token write it past the gateway?' }),
          ),
          audited: Type.Optional(
            Type.Boolean({
              description: 'Is the last content of deleted documents kept in the deletion log?',
            }),
          ),
        },
        { additionalProperties: false },
      ),
      { additionalProperties: false },
    ),
    sharedScopes: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-z][a-z0-9-]{0,31}$' }), Type.String({ minLength: 1 }), {
        additionalProperties: false,
        description: 'Kind of shared scope to the token claim that lists its ids.',
      }),
    ),
    roles: Type.Optional(
      Type.Object(
        {
          claim: Type.Optional(
            Type.String({
              minLength: 1,
              description: 'The token claim that lists roles; `roles` by default.',
            }),
          ),
          default: Type.Optional(
            Type.Union([Type.Literal('reader'), Type.Literal('writer'), Type.Literal('admin')], {
              description: 'The role of users whose token names none; `writer` by default.',
            }),
          ),
          map: Type.Optional(
            Type.Record(
              Type.String({ minLength: 1 }),
              Type.String({ pattern: `^([a-z][a-z0-9-]{0,31}\\.)?(${ROLES.join('|')})$` }),
              {
                additionalProperties: false,
                description:
                  'Text of the claim to `reader`, `writer` or `admin`, or to `<kind of scope>.<role>`.',
              },
            ),
          ),
        },
        { additionalProperties: false },
      ),
    ),
    rules: Type.Optional(
      Type.String({
        pattern: '^\\./[^\\\\]+\\.[cm]?[jt]s$',
        description:
          'Module with rules of the application beside its schemas, seen from this file: it is built into the app.',
      }),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          maxChanges: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
          maxBodyBytes: Type.Optional(Type.Integer({ minimum: 1024, maximum: 100_000_000 })),
          maxBodyNodes: Type.Optional(
            Type.Integer({
              minimum: 1000,
              maximum: 5_000_000,
              description: 'Objects, lists and properties of a body.',
            }),
          ),
          maxDocumentBytes: Type.Optional(Type.Integer({ minimum: 256, maximum: MAX_DOCUMENT_BYTES })),
          maxScopes: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 1000, description: 'Scopes of one request.' }),
          ),
          maxAnswerBytes: Type.Optional(
            Type.Integer({
              minimum: 65_536,
              maximum: 64_000_000,
              description: 'About how large an answer gets, before compression.',
            }),
          ),
          ruleMilliseconds: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 30_000,
              description: 'How long a rule of the application may take for one change.',
            }),
          ),
        },
        { additionalProperties: false },
      ),
    ),
  },
  { additionalProperties: false },
);
export type SyncConfigFile = Static<typeof SyncConfigFile>;

export interface CollectionConfig {
  /** Kind of scope its documents live in. */
  readonly scope: string;
  readonly strategy: Strategy;
  /** JSON Schema of its documents; null: any object. */
  readonly schema: JsonObject | null;
  readonly maxDocumentBytes: number;
  /** May holders of a resource token write it past the gateway? */
  readonly direct: boolean;
  /** Is the last content of deleted documents kept in the deletion log? */
  readonly audited: boolean;
}

export interface SyncConfig {
  readonly collections: ReadonlyMap<string, CollectionConfig>;
  /** Kind of shared scope to the token claim that lists its ids. */
  readonly sharedScopes: ReadonlyMap<string, string>;
  readonly roles: RoleMapping;
  /** Module with rules of the application, seen from the file; null: there are none. */
  readonly rules: string | null;
  readonly limits: Readonly<Required<NonNullable<SyncConfigFile['limits']>>>;
}

/** Names the file, the line and the reason. */
export class SyncConfigError extends Error {
  constructor(path: string, line: number | null, reason: string) {
    super(`${path}${line === null ? '' : `:${line}`}: ${reason}`);
    this.name = 'SyncConfigError';
  }
}

const check = compileSchema(SyncConfigFile);

/**
 * Reads the text of the file. Comments and trailing commas are allowed.
 *
 * @throws SyncConfigError
 */
export function readSyncConfig(text: string, path = 'sync.config.json'): SyncConfig {
  let document: DocumentNode;
  try {
    document = parse(text, { mode: 'jsonc', allowTrailingCommas: true });
  } catch (error) {
    const { message, line } = error as Error & { line?: number };
    throw new SyncConfigError(path, line ?? null, `it is no JSON: ${message}`);
  }
  return parseSyncConfig(
    evaluate(document),
    (pointer, reason) => new SyncConfigError(path, lineOf(document, pointer), reason),
  );
}

/** The line of the place that a JSON Pointer names, or of the nearest place above it that is there. */
function lineOf({ body }: DocumentNode, pointer: string): number {
  let node = body;
  let { line } = body.loc.start;
  for (const key of pointerKeys(pointer)) {
    if (node.type === 'Array') {
      const element = node.elements[Number(key)];
      if (element === undefined) break;
      node = element.value;
      line = node.loc.start.line;
    } else if (node.type === 'Object') {
      const member = node.members.find(
        ({ name }) => (name.type === 'String' ? name.value : name.name) === key,
      );
      if (member === undefined) break;
      node = member.value;
      line = member.loc.start.line;
    } else break;
  }
  return line;
}

type ToError = (pointer: string, reason: string) => Error;

/**
 * Checks the content of the file and fills in what it leaves open.
 *
 * @param toError makes the error for a place in the file
 */
export function parseSyncConfig(
  file: unknown,
  toError: ToError = (_, reason) => new SyncConfigError('sync.config.json', null, reason),
): SyncConfig {
  const refuse = (pointer: string, reason: string): Error =>
    toError(pointer, `\`${pointer === '' ? '/' : pointer}\` ${reason}.`);
  const fault = check(file);
  if (fault !== null) throw refuse(fault.pointer, fault.reason);
  const { collections, sharedScopes = {}, roles = {}, rules = null, limits = {} } = file as SyncConfigFile;
  if (Object.hasOwn(sharedScopes, 'user')) {
    throw refuse('/sharedScopes/user', 'is the private scope; nobody shares it');
  }
  const filled = {
    maxChanges: 1000,
    maxBodyBytes: 8_000_000,
    maxBodyNodes: 500_000,
    maxDocumentBytes: MAX_DOCUMENT_BYTES,
    maxScopes: 50,
    maxAnswerBytes: 4_000_000,
    ruleMilliseconds: 1000,
    ...limits,
  };
  return {
    collections: new Map(
      Object.entries(collections).map(([name, collection]) => [
        name,
        toCollection(name, collection, filled.maxDocumentBytes, sharedScopes, refuse),
      ]),
    ),
    sharedScopes: new Map(Object.entries(sharedScopes)),
    roles: toRoleMapping(roles, sharedScopes, refuse),
    rules,
    limits: filled,
  };
}

type CollectionFile = SyncConfigFile['collections'][string];

function toCollection(
  name: string,
  file: CollectionFile,
  maxBytes: number,
  sharedScopes: object,
  refuse: ToError,
): CollectionConfig {
  const at = `/collections/${name}`;
  const { scope = 'user', schema = null, direct = false, audited = false } = file;
  const { maxDocumentBytes = maxBytes } = file;
  const strategy = toStrategy(at, file, refuse);
  if (scope !== 'user' && !Object.hasOwn(sharedScopes, scope)) {
    throw refuse(`${at}/scope`, `is "${scope}", which is not in \`/sharedScopes\``);
  }
  if (schema !== null) {
    try {
      compileDocumentSchema(schema);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw refuse(`${at}/schema`, `is no JSON Schema: ${reason}`);
    }
  }
  const bypassed =
    strategy.name !== 'last_write_wins'
      ? 'strategy'
      : schema !== null
        ? 'schema'
        : audited
          ? 'audited'
          : null;
  if (direct && bypassed !== null) {
    throw refuse(
      `${at}/${bypassed}`,
      'cannot be kept beside `direct`: a write past the gateway does not heed it',
    );
  }
  return { scope, strategy, schema, maxDocumentBytes, direct, audited };
}

function toStrategy(at: string, file: CollectionFile, refuse: ToError): Strategy {
  const { strategy: name = 'last_write_wins', fields, defaultOwner } = file;
  if (name === 'field_level_merge') {
    for (const [pointer, { owner }] of Object.entries(fields ?? {})) {
      if (owner === 'server' && pointer.split('/').includes('*')) {
        const place = `${at}/fields/${pointer.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        throw refuse(place, "lies inside elements of an array; only whole arrays can be the server's");
      }
    }
    return { name, root: fieldRules(fields ?? {}, defaultOwner) };
  }
  const unused = fields !== undefined ? 'fields' : defaultOwner !== undefined ? 'defaultOwner' : null;
  if (unused !== null) throw refuse(`${at}/${unused}`, 'goes with the strategy `field_level_merge` only');
  return { name };
}

function toRoleMapping(
  { claim = 'roles', default: fallback = 'writer', map = {} }: NonNullable<SyncConfigFile['roles']>,
  sharedScopes: object,
  refuse: ToError,
): RoleMapping {
  const entries = Object.entries(map).map(([text, granted]) => {
    const [role = '', kind = null] = granted.split('.').reverse();
    if (kind !== null && kind !== 'user' && !Object.hasOwn(sharedScopes, kind)) {
      const at = `/roles/map/${text.replaceAll('~', '~0').replaceAll('/', '~1')}`;
      throw refuse(at, `names the kind "${kind}", which is not in \`/sharedScopes\``);
    }
    return [text, { kind, role: role as Role }] as const;
  });
  return { claim, default: fallback, map: new Map(entries) };
}

/**
 * What a resource token may do in private scopes. A container cannot keep a token to one collection: it may write only
 * where every private collection allows that.
 */
export function tokenMode({ collections }: SyncConfig): 'read' | 'all' {
  const inPrivate = [...collections.values()].filter(({ scope }) => scope === 'user');
  return inPrivate.length > 0 && inPrivate.every(({ direct }) => direct) ? 'all' : 'read';
}
