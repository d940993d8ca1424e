/** A collection as the local database holds it. */
export interface Model {
  /** As in `sync.config.json` of the service. */
  readonly collection: string;
  /** Its table; `PendingChanges_<table>` is beside it. */
  readonly table: string;
  /** JSON paths that get an index, such as `status` or `address.city`. */
  readonly indexes: readonly string[];
}

/** `address.city` as SQLite spells a path into JSON. */
export const jsonPath = (path: string): string =>
  `$${path
    .split('.')
    .map((part) => `."${part.replaceAll('"', '')}"`)
    .join('')}`;
