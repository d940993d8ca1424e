/** A member of a document, by path: `status`, or `address.city`. */
export type Path<T> = (keyof T & string) | `${keyof T & string}.${string}`;

/**
 * A schema of any library that keeps the Standard Schema convention (Zod, Valibot, ArkType …): documents get its type, and
 * what does not fit it is refused before it is stored.
 */
export interface StandardSchema<T> {
  readonly '~standard': {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => unknown;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
  };
}

export interface CollectionOptions<T> {
  /** Kind of scope its documents live in, as in the service's `sync.config.json`. Default: `user`, private. */
  readonly scope?: string;
  /** Name of its table. Default: that of the collection. */
  readonly table?: string;
  /** The member that holds a document's id. Default: `id`. */
  readonly key?: keyof T & string;
  /** Members that queries go by often: each gets an index. */
  readonly indexes?: readonly Path<T>[];
  readonly schema?: StandardSchema<T>;
}

/** A collection, as `collection(…)` describes it. */
export interface Collection<T extends object> {
  readonly scope?: string;
  readonly table?: string;
  readonly key?: string;
  readonly indexes?: readonly string[];
  readonly schema?: StandardSchema<T>;
  /** Not there at run time: it carries the type. */
  readonly document?: T;
}

export type Collections = Readonly<Record<string, Collection<object>>>;
/** The type of a collection's documents. */
export type DocumentOf<C> = C extends Collection<infer T> ? T : never;

/**
 * Describes a collection.
 *
 * ```ts
 * const notes = collection<{ id: string; title: string }>({ indexes: ['title'] });
 * const visits = collection({ scope: 'facility', schema: VisitSchema });
 * ```
 */
export const collection = <T extends object>(options: CollectionOptions<T> = {}): Collection<T> => options;
