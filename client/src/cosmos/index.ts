export { directTransport, type DirectTransportOptions } from './direct-transport.ts';
export { CosmosDbStore, type CosmosDbStoreOptions } from './cosmos-db-store.ts';
export { cosmosClients, type CosmosAccess, type CosmosPartitionAccess } from './cosmos-clients.ts';
