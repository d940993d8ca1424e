export * from './errors.ts';
export * from './health.ts';
export * from './ids.ts';
export * from './problem.ts';
export * from './sync.ts';
export * from './token.ts';
export * from './version.ts';
