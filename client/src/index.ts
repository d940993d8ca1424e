export { Replica, type ReplicaOptions } from './replica.ts';
export type { Address, SetAside } from './core/row-store.ts';
export type { Rejected } from './core/exchange.ts';
export type { Row } from './row.ts';
