/** Beyond this many texts, statements that an app makes up on the fly would fill the memory. */
const KEPT = 200;

/** Keeps prepared statements by their text; the one unused for longest goes first. */
export function keepStatements<S>(prepare: (sql: string) => S): (sql: string) => S {
  const kept = new Map<string, S>();
  let latest: { readonly sql: string; readonly statement: S } | undefined;
  return (sql) => {
    if (latest?.sql === sql) return latest.statement;
    const statement = kept.get(sql) ?? prepare(sql);
    kept.delete(sql);
    kept.set(sql, statement);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value ?? '');
    latest = { sql, statement };
    return statement;
  };
}
