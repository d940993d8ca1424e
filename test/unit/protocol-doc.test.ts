import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  CHANGE_SCHEMAS,
  ChangeResult,
  RemoteDocument,
  SyncEnvelope,
  SyncResponse,
  SyncStats,
  TokenResponse,
  Problem,
  type Change,
} from '../../shared/protocol/index.ts';
import { isJsonObject, type JsonObject } from '../../shared/conflict/index.ts';
import { compileSchema } from '../../shared/validation/validator.ts';

const page = readFileSync(join(process.cwd(), 'docs', 'protocol.md'), 'utf8');
const examples = [...page.matchAll(/```json\n([^]*?)```/g)].map(([, text = '']) => parseExample(text));

function parseExample(text: string): JsonObject {
  const value: unknown = JSON.parse(text);
  if (!isJsonObject(value)) throw new Error(`An example is no object: ${text}`);
  return value;
}

const examplesWith = (...fields: string[]) =>
  examples.filter((value) => fields.every((name) => name in value));

describe('docs/protocol.md', () => {
  it('shows requests that the service takes', () => {
    const requests = examplesWith('protocol');
    expect(requests.length).toBeGreaterThan(5);
    const checkEnvelope = compileSchema(SyncEnvelope);
    for (const request of requests) {
      expect(checkEnvelope(request)).toBeNull();
      for (const change of (request['changes'] ?? []) as Change[]) {
        expect(compileSchema(CHANGE_SCHEMAS[change.type])(change)).toBeNull();
      }
    }
  });

  it('shows answers as they are sent', () => {
    const results = examplesWith('results').flatMap(({ results: list }) => list as unknown[]);
    expect(results.length).toBeGreaterThan(5);
    expect(results.map(compileSchema(ChangeResult))).toEqual(results.map(() => null));
    const answers = examplesWith('serverTime', 'delta');
    expect(answers.length).toBeGreaterThan(1);
    expect(answers.map(compileSchema(SyncResponse))).toEqual(answers.map(() => null));
    expect(examplesWith('partitionKey').map(compileSchema(TokenResponse))).toEqual([null]);
    expect(examplesWith('requestId').map(compileSchema(Problem))).toEqual([null]);
  });

  it.each(
    Object.entries({
      request: SyncEnvelope,
      change: CHANGE_SCHEMAS.upsert,
      answer: SyncResponse,
      result: ChangeResult,
      document: RemoteDocument,
      stats: SyncStats,
      token: TokenResponse,
    }),
  )('names every field: %s', (_, schema) => {
    const missing = Object.keys(schema.properties).filter(
      (name) => !new RegExp(`[\`".]${name}[\`"]`).test(page),
    );
    expect(missing).toEqual([]);
  });
});
