import { execFile } from 'node:child_process';
import { cp, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';
import { build, type BuildOptions } from 'esbuild';
import ts from 'typescript';

/**
 * Writes what is published: ES modules in `dist/esm`, CommonJS in `dist/cjs`, each with its types beside it. Source maps and
 * sources stay home. The types of the protocol are made of its schemas and written out, so that nobody needs the schema
 * library to read them.
 */
const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

/** Name in the package to source file. */
const ENTRIES = {
  index: 'index.ts',
  node: 'drivers/node-sqlite.ts',
  'better-sqlite3': 'drivers/better-sqlite3.ts',
  wasm: 'drivers/wasm.ts',
  'wasm-worker': 'drivers/wasm-worker.ts',
  expo: 'drivers/expo-sqlite.ts',
  'op-sqlite': 'drivers/op-sqlite.ts',
  cosmos: 'cosmos/index.ts',
  react: 'react.ts',
} as const;

const options: BuildOptions = {
  entryPoints: Object.fromEntries(
    Object.entries(ENTRIES).map(([name, file]) => [name, join(root, 'src', file)]),
  ),
  bundle: true,
  platform: 'neutral',
  target: 'es2022',
  external: ['node:*', 'better-sqlite3', 'react', '@sqlite.org/sqlite-wasm'],
  legalComments: 'none',
  logLevel: 'warning',
};

await rm(dist, { recursive: true, force: true });
await build({ ...options, format: 'esm', splitting: true, outdir: join(dist, 'esm') });
await build({ ...options, format: 'cjs', outdir: join(dist, 'cjs') });
await build({
  ...options,
  entryPoints: { main: join(root, 'src', 'cli', 'main.ts') },
  format: 'esm',
  platform: 'node',
  outdir: join(dist, 'cli'),
});
await promisify(execFile)(process.execPath, [
  join(root, '..', 'node_modules', 'typescript', 'bin', 'tsc'),
  '-p',
  join(root, 'tsconfig.build.json'),
]);
await writeProtocolTypes();
for (const format of ['esm', 'cjs']) {
  const folder = join(dist, format);
  await cp(join(dist, 'types'), join(folder, 'types'), { recursive: true });
  const type = format === 'esm' ? 'module' : 'commonjs';
  await writeFile(join(folder, 'package.json'), `${JSON.stringify({ type, sideEffects: false })}\n`);
}
await rm(join(dist, 'types'), { recursive: true });

/** Replaces declarations that speak of schemas by what they come to. */
async function writeProtocolTypes(): Promise<void> {
  const folder = join(dist, 'types', 'shared', 'protocol');
  await mkdir(folder, { recursive: true });
  for (const name of ['sync', 'token', 'integrity']) {
    const file = join(root, '..', 'shared', 'protocol', `${name}.ts`);
    const program = ts.createProgram([file], {
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: true,
      module: ts.ModuleKind.NodeNext,
      moduleResolution: ts.ModuleResolutionKind.NodeNext,
      allowImportingTsExtensions: true,
      noEmit: true,
      types: [],
    });
    const checker = program.getTypeChecker();
    const source = program.getSourceFile(file);
    if (source === undefined) throw new Error(`There is no ${file}.`);
    const lines: string[] = [];
    ts.forEachChild(source, (node) => {
      if (!ts.isTypeAliasDeclaration(node)) return;
      const flags =
        ts.TypeFormatFlags.InTypeAlias |
        ts.TypeFormatFlags.NoTruncation |
        ts.TypeFormatFlags.UseAliasDefinedOutsideCurrentScope;
      // eslint-disable-next-line @typescript-eslint/no-unsafe-enum-assignment -- flags put together are flags
      const text = checker.typeToString(checker.getTypeAtLocation(node.name), undefined, flags);
      lines.push(`export type ${node.name.text} = ${text};`);
    });
    await writeFile(join(folder, `${name}.d.ts`), `${lines.join('\n')}\n`);
  }
}

const bundle = await build({
  ...options,
  entryPoints: [join(dist, 'esm', 'index.js')],
  format: 'esm',
  platform: 'browser',
  minify: true,
  write: false,
});
const [file] = bundle.outputFiles;
if (file === undefined) throw new Error('Nothing was built.');
console.log(
  `@tidemark/client in a browser: ${kilobytes(file.contents.length)} kB, ${kilobytes(gzipSync(file.contents).length)} kB gzip`,
);

function kilobytes(bytes: number): string {
  return (bytes / 1000).toFixed(1);
}
