#!/usr/bin/env node
/*
 * The command line. This file runs on any Node.js, to say which one is needed; what it loads does not. In the repository
 * it loads the sources, in the package what was built of them.
 */
import { existsSync, readFileSync } from 'node:fs';
import { URL } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  process.stderr.write(`tidemark needs Node.js 22.13 or later; this is ${process.versions.node}.\n`);
  process.exit(2);
}

// That SQLite came late to Node.js is no news to who runs this.
const { emitWarning } = process;
process.emitWarning = (warning, ...rest) => {
  const [type] = rest;
  const name = typeof type === 'object' && type !== null ? type.type : type;
  if (name !== 'ExperimentalWarning') emitWarning.call(process, warning, ...rest);
};

const source = new URL('../src/cli/main.ts', import.meta.url);
const built = new URL('../dist/cli/main.js', import.meta.url);
const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
const { main } = await import(existsSync(source) ? source.href : built.href);
await main(version);
