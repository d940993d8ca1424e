/**
 * WAL lets one process write while others read. With it, `synchronous = NORMAL` survives the death of the process at any
 * moment; losing power may take the last transactions, never part of one. A store that fell behind in that way meets its
 * own ledger, takes a new device id, and loses nothing it still had.
 */
export const PRAGMAS = 'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 10000';
