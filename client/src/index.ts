export { Replica, type Address, type Rejected, type ReplicaOptions } from './replica.ts';
export type { Row } from './row.ts';
