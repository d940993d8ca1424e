import { Type, type Static } from 'typebox';
import { ROLES, type Role, type RoleMapping } from '../auth/identity.ts';
import { COLLECTION_PATTERN } from '../protocol/index.ts';
import { compileSchema } from '../validation/validator.ts';

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
          strategy: Type.Optional(Type.Literal('last_write_wins')),
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
    limits: Type.Optional(
      Type.Object(
        {
          maxChanges: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
          maxBodyBytes: Type.Optional(Type.Integer({ minimum: 1024, maximum: 100_000_000 })),
          maxDocumentBytes: Type.Optional(Type.Integer({ minimum: 1024, maximum: 921_600 })),
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
  readonly strategy: 'last_write_wins';
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
  readonly limits: {
    readonly maxChanges: number;
    readonly maxBodyBytes: number;
    readonly maxDocumentBytes: number;
  };
}

const check = compileSchema(SyncConfigFile);

/** @throws Error that names the place in the file and the reason */
export function parseSyncConfig(file: unknown): SyncConfig {
  const fault = check(file);
  if (fault !== null) throw new Error(`sync.config.json: \`${fault.pointer || '/'}\` ${fault.reason}.`);
  const { collections, sharedScopes = {}, roles = {}, limits = {} } = file as SyncConfigFile;
  if (Object.hasOwn(sharedScopes, 'user')) {
    throw new Error('sync.config.json: `/sharedScopes/user`: `user` is the private scope; nobody shares it.');
  }
  for (const [name, { scope = 'user', direct = false, audited = false }] of Object.entries(collections)) {
    if (direct && audited) {
      throw new Error(
        `sync.config.json: \`/collections/${name}/audited\` cannot be kept beside \`direct\`: a delete past the gateway is in no log.`,
      );
    }
    if (scope !== 'user' && !Object.hasOwn(sharedScopes, scope)) {
      throw new Error(
        `sync.config.json: \`/collections/${name}/scope\` "${scope}" is not in \`/sharedScopes\`.`,
      );
    }
  }
  return {
    collections: new Map(
      Object.entries(collections).map(
        ([name, { scope = 'user', strategy = 'last_write_wins', direct = false, audited = false }]) => [
          name,
          { scope, strategy, direct, audited },
        ],
      ),
    ),
    sharedScopes: new Map(Object.entries(sharedScopes)),
    roles: toRoleMapping(roles, sharedScopes),
    limits: { maxChanges: 1000, maxBodyBytes: 8_000_000, maxDocumentBytes: 921_600, ...limits },
  };
}

function toRoleMapping(
  { claim = 'roles', default: fallback = 'writer', map = {} }: NonNullable<SyncConfigFile['roles']>,
  sharedScopes: object,
): RoleMapping {
  const entries = Object.entries(map).map(([text, granted]) => {
    const [role = '', kind = null] = granted.split('.').reverse();
    if (kind !== null && kind !== 'user' && !Object.hasOwn(sharedScopes, kind)) {
      throw new Error(
        `sync.config.json: \`/roles/map/${text}\`: the kind "${kind}" is not in \`/sharedScopes\`.`,
      );
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
