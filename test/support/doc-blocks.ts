import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A code block of a page. */
export interface Block {
  readonly page: string;
  /** Of its first line of code. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  /** Why it is not run: `<!-- not run: … -->` before it. */
  readonly notRun: string | null;
  /** Is it what the scripts of the page print? `<!-- output -->` before it. */
  readonly isOutput: boolean;
}

/** The pages whose examples are run. That of operations has a test of its own, on a stack for operators. */
export function examplePages(root: string): string[] {
  const inFolder = (folder: string) => readdirSync(join(root, folder));
  return [
    'README.md',
    'CONTRIBUTING.md',
    'client/README.md',
    'emulator/README.md',
    ...inFolder('docs')
      .filter((name) => name.endsWith('.md') && name !== 'operations.md')
      .map((name) => `docs/${name}`),
    ...inFolder('examples')
      .map((name) => `examples/${name}`)
      .filter((name) => inFolder(name).includes('README.md'))
      .map((name) => `${name}/README.md`),
  ];
}

/** The code blocks of a page, without the indentation of the list they stand in. */
export function blocksOf(root: string, page: string): Block[] {
  const blocks: Block[] = [];
  let open: { indent: string; fence: string; language: string; line: number; code: string[] } | null = null;
  let notRun: string | null = null;
  let isOutput = false;
  for (const [index, text] of readFileSync(join(root, page), 'utf8').split('\n').entries()) {
    const [, indent = '', fence, language = ''] = /^( *)(```+)(\w*)/.exec(text) ?? [];
    if (open !== null) {
      if (fence === open.fence && text.trim() === fence) {
        const { line, code } = open;
        blocks.push({ page, line, language: open.language, code: `${code.join('\n')}\n`, notRun, isOutput });
        open = null;
        notRun = null;
        isOutput = false;
      } else open.code.push(text.startsWith(open.indent) ? text.slice(open.indent.length) : text.trimStart());
    } else if (fence !== undefined) open = { indent, fence, language, line: index + 2, code: [] };
    else if (text.trim() !== '') {
      notRun = /^\s*<!-- not run: (.+) -->$/.exec(text)?.[1] ?? null;
      isOutput = text.trim() === '<!-- output -->';
    }
  }
  if (open !== null) throw new Error(`${page}:${open.line - 1}: this block is never closed.`);
  return blocks;
}
