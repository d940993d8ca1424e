/** Beyond this many texts, statements that an app makes up on the fly would fill the memory. */
const KEPT = 200;

/**
 * Keeps prepared statements by their text; the one unused for longest goes first.
 *
 * @param release frees one that goes, where nothing else does
 */
export function keepStatements<S>(
  prepare: (sql: string) => S,
  release: (statement: S) => void = () => undefined,
): (sql: string) => S {
  const kept = new Map<string, S>();
  let latest: { readonly sql: string; readonly statement: S } | undefined;
  return (sql) => {
    if (latest?.sql === sql) return latest.statement;
    const statement = kept.get(sql) ?? prepare(sql);
    kept.delete(sql);
    kept.set(sql, statement);
    latest = { sql, statement };
    const [oldest] = kept;
    if (kept.size > KEPT && oldest !== undefined) {
      kept.delete(oldest[0]);
      release(oldest[1]);
    }
    return statement;
  };
}
