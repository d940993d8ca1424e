export * from './decide.ts';
export * from './json.ts';
export * from './merge-patch.ts';
export * from './merge.ts';
export * from './order.ts';
export * from './strategy.ts';
export * from './version.ts';
