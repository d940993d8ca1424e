export { directTransport, type DirectTransportOptions } from './direct-transport.ts';
