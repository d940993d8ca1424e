import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { Type } from 'typebox';
import { ERRORS } from '../../shared/protocol/index.ts';
import { describeApi } from '../../shared/protocol/openapi.ts';
import { OPERATIONS, type Operation } from '../../shared/protocol/operations.ts';
import { expectAsDescribed } from '../support/contract.ts';

const description = describeApi();

/** Every object in a description, with the path that leads to it. */
function* objectsIn(value: unknown, path = '#'): Generator<[string, Record<string, unknown>]> {
  if (typeof value !== 'object' || value === null) return;
  if (!Array.isArray(value)) yield [path, value as Record<string, unknown>];
  for (const [key, item] of Object.entries(value)) {
    yield* objectsIn(item, `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`);
  }
}
const objects = [...objectsIn(description)];
const operations = objects.filter(([, value]) => typeof value['operationId'] === 'string');

describe('docs/openapi.json', () => {
  it('is what `npm run docs` writes from the operations, the schemas and the errors', () => {
    const file = readFileSync(join(process.cwd(), 'docs', 'openapi.json'), 'utf8');
    expect(JSON.parse(file)).toEqual(description);
  });

  it('describes every operation with each of its methods', () => {
    const described = operations.map(([path]) => path.replace('#/paths/~1', '').replaceAll('~1', '/'));
    const expected = Object.values(OPERATIONS).flatMap(({ path, methods }) =>
      methods.map((method) => `${path}/${method.toLowerCase()}`),
    );
    expect(described.sort()).toEqual(expected.sort());
  });

  it('gives each operation an id of its own', () => {
    const ids = operations.map(([, { operationId }]) => operationId);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it('refers to nothing that is not there', () => {
    const pointers = new Set(objects.map(([path]) => path));
    const broken = objects.filter(([, { $ref }]) => typeof $ref === 'string' && !pointers.has($ref));
    expect(broken).toEqual([]);
    expect(objects.filter(([, { $ref }]) => $ref !== undefined).length).toBeGreaterThan(20);
  });

  it('holds JSON Schemas that a strict reader takes', () => {
    const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false });
    ajv.addVocabulary(['openapi', 'info', 'servers', 'security', 'paths', 'components']);
    ajv.addSchema({ $id: 'api', ...description });
    const schemas = objects.filter(([path]) => /\/schema$|^#\/components\/schemas\/\w+$/.test(path));
    expect(schemas.length).toBeGreaterThan(15);
    for (const [path] of schemas) ajv.compile({ $ref: `api${encodeURI(path)}` });
  });

  it('names every parameter of a path', () => {
    for (const [path, { parameters }] of operations) {
      const named = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
      const declared = (parameters as { in?: string; name?: string }[]).filter((each) => each.in === 'path');
      expect(declared.map(({ name }) => name)).toEqual(named);
    }
  });

  it('lets a request be refused with every code of the table, except for an unknown address', () => {
    const codes = new Set(
      objects.flatMap(([path, { enum: values }]) =>
        path.endsWith('/properties/code') ? (values as string[]) : [],
      ),
    );
    const unused = Object.entries(ERRORS)
      .filter(([code, { where }]) => where === 'request' && !codes.has(code))
      .map(([code]) => code);
    expect(unused).toEqual(['not_found']);
  });

  it('says how to wait wherever it asks to', () => {
    const waits = objects.filter(([path]) => /\/responses\/(429|503)$/.test(path));
    expect(waits.length).toBeGreaterThan(1);
    for (const [, { headers }] of waits) expect(headers).toHaveProperty('Retry-After');
  });
});

it('An operation is described from its line in the table', () => {
  const restore = {
    path: 'things/{id}/restore',
    methods: ['POST'],
    summary: 's',
    description: 'd',
    caller: 'user',
    parameters: {
      id: { schema: Type.String(), description: 'Its id.' },
      page: { schema: Type.Integer(), description: 'The page.' },
    },
    answer: Type.Object({ done: Type.Boolean() }),
    errors: ['not_found'],
  } as const satisfies Operation;
  const { paths } = describeApi({ RestoreThing: restore });
  expect(paths).toMatchObject({
    '/things/{id}/restore': {
      post: {
        operationId: 'RestoreThing',
        parameters: [
          { name: 'id', in: 'path', required: true },
          { name: 'page', in: 'query', required: false },
          {},
        ],
        responses: {
          200: { content: { 'application/json': { schema: { properties: { done: { type: 'boolean' } } } } } },
          404: { content: { 'application/problem+json': {} } },
        },
      },
    },
  });
});

describe('The answers of the integration tests are held against it', () => {
  const url = 'http://127.0.0.1/api/health';
  const headers = { 'content-type': 'application/json; charset=utf-8', 'x-request-id': 'r' };
  const answer = (fields: { status?: number; headers?: Record<string, string>; text?: string }) => ({
    status: fields.status ?? 200,
    headers: new Headers(fields.headers ?? headers),
    text: fields.text ?? '{"status":"ok"}',
  });

  it('and pass as they are', () => {
    expectAsDescribed('GET', url, answer({}));
    expectAsDescribed('HEAD', url, answer({ text: '' }));
    expectAsDescribed('GET', 'http://127.0.0.1/api/nothing', answer({ status: 404 }));
  });

  it.each<[string, string, Parameters<typeof answer>[0], string?]>([
    ['a status', 'GET', { status: 201 }],
    ['a body', 'GET', { text: '{"status":"fine"}' }],
    ['a body that lacks something', 'GET', { text: '{}' }],
    ['a type', 'GET', { headers: { ...headers, 'content-type': 'text/plain' } }],
    ['no request id', 'GET', { headers: { 'content-type': 'application/json' } }],
    ['a method that is not there', 'POST', {}],
    ['a path that is not there', 'GET', {}, 'http://127.0.0.1/api/nothing'],
    [
      'a code that this operation does not have',
      'GET',
      {
        status: 500,
        headers: { ...headers, 'content-type': 'application/problem+json' },
        text: JSON.stringify({ type: '', title: '', status: 500, code: 'unavailable', requestId: 'r' }),
      },
    ],
  ])('but not with %s that it does not describe', (_name, method, fields, at = url) => {
    expect(() => expectAsDescribed(method, at, answer(fields))).toThrow('against docs/openapi.json');
  });
});
