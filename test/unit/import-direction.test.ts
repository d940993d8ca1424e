import { execFileSync } from 'node:child_process';

/** The direction of imports is held by the linter; this shows that the linter does hold it. */

const FORBIDDEN = [
  ['functions/sync.ts', '../emulator/src/index.ts'],
  ['functions/sync.ts', '../local/stack.ts'],
  ['functions/sync.ts', '../client/src/index.ts'],
  ['functions/sync.ts', '@azure/cosmos'],
  ['shared/sync/push.ts', '@azure/cosmos'],
  ['shared/sync/push.ts', '../../functions/services.ts'],
  ['shared/sync/push.ts', '../../test/support/gateway.ts'],
  ['shared/cosmos/client.ts', '../../local/provision.ts'],
  ['shared/protocol/sync.ts', 'node:crypto'],
  ['shared/protocol/sync.ts', '../sync/clock.ts'],
  ['shared/conflict/decide.ts', '@azure/identity'],
  ['shared/conflict/decide.ts', '../cosmos/client.ts'],
  ['shared/stored/ledger.ts', '../sync/push.ts'],
  ['client/src/row.ts', '../../shared/sync/push.ts'],
  ['client/src/row.ts', '../../functions/sync.ts'],
  ['emulator/src/index.ts', '../../shared/protocol/index.ts'],
] as const;

const ALLOWED = [
  ['functions/sync.ts', '../shared/http/edge.ts'],
  ['shared/sync/push.ts', '../conflict/index.ts'],
  ['shared/cosmos/client.ts', '@azure/cosmos'],
  ['shared/conflict/decide.ts', './order.ts'],
  ['client/src/row.ts', '../../shared/protocol/index.ts'],
  ['client/src/row.ts', '../../shared/stored/document.ts'],
] as const;

/** ESLint loads its configuration as an ES module, which Jest's runtime cannot: it runs beside Jest, once for all cases. */
const SCRIPT = `
  import { ESLint } from 'eslint';
  const eslint = new ESLint({
    ruleFilter: ({ ruleId }) => ruleId === 'no-restricted-imports',
    // The rule needs no types, and reading them takes long.
    overrideConfig: { files: ['**/*.ts'], languageOptions: { parserOptions: { project: null } } },
  });
  const answers = [];
  for (const [filePath, source] of JSON.parse(process.argv[1])) {
    const [{ messages }] = await eslint.lintText("import '" + source + "';", { filePath });
    answers.push(messages.map(({ ruleId, message, fatal }) => (fatal ? message : ruleId)));
  }
  console.log(JSON.stringify(answers));
`;

let answers: Map<string, unknown>;
beforeAll(() => {
  const cases = [...FORBIDDEN, ...ALLOWED];
  const output = execFileSync(
    process.execPath,
    ['--input-type=module', '-e', SCRIPT, JSON.stringify(cases)],
    { encoding: 'utf8' },
  );
  const found = JSON.parse(output) as unknown[];
  answers = new Map(cases.map(([file, source], index) => [`${file} ${source}`, found[index]]));
}, 60_000);

it.each(FORBIDDEN)('%s may not import %s', (file, source) => {
  expect(answers.get(`${file} ${source}`)).toEqual(['no-restricted-imports']);
});

it.each(ALLOWED)('%s may import %s', (file, source) => {
  expect(answers.get(`${file} ${source}`)).toEqual([]);
});
