export { Client, createClient, type ClientOptions } from './client.ts';
export { TidemarkError, type ClientErrorCode } from './errors.ts';

export {
  collection,
  type Collection,
  type CollectionOptions,
  type Collections,
  type DocumentOf,
  type Path,
  type StandardSchema,
} from './store/collection.ts';
export type {
  Condition,
  DocumentStore,
  MergePatch,
  PendingChange,
  Query,
  StoreTransaction,
  Where,
  WriteOptions,
} from './store/document-store.ts';
export { SqliteStore } from './store/sqlite-store.ts';

export { SyncEngine, type EngineOptions, type SyncOptions } from './sync/sync-engine.ts';
export type {
  ConflictEvent,
  RejectedEvent,
  SyncEvents,
  SyncOutcome,
  SyncProgress,
  SyncReport,
  SyncState,
  SyncStatus,
} from './sync/events.ts';
export type { Exchange, Transport } from './sync/transport.ts';
export type { Diverged, IntegrityQuestions } from './sync/integrity.ts';
export { thinTransport, type ThinTransportOptions } from './net/thin-transport.ts';
export type { HttpOptions } from './net/http.ts';
export type { BreakerOptions, RetryOptions } from './net/retry.ts';

export {
  CachedTokenProvider,
  type CachedTokenOptions,
  type TokenStorage,
} from './tokens/cached-token-provider.ts';
export { HttpTokenProvider, type HttpTokenOptions } from './tokens/http-token-provider.ts';
export { SampleTokenProvider, type SampleTokenOptions } from './tokens/sample-token-provider.ts';
export type { ExpiringToken, TokenProvider, TokenRequest, TokenSource } from './tokens/token-provider.ts';

export type { SqlConnection, SqlDriver, SqlRow, SqlValue } from './sql/connection.ts';
export type { Database, DatabaseOpener, DatabaseSetup } from './sql/database.ts';
export type { ConflictEntry, PendingEdit, RejectedEdit, SetAsideEdit } from './sql/local-database.ts';
export type { Locks, Platform, Runtime } from './runtime.ts';

export type { Address, SetAside } from './core/row-store.ts';
export type { Rejected } from './core/exchange.ts';
/** The protocol's client half on rows in memory: for tests and demonstrations. */
export { Replica, type ReplicaOptions } from './replica.ts';
export type { Row } from './row.ts';
