import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';

/** The parts of docs/openapi.json that answers are held against. */
interface Description {
  readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly responses: Responses }>>>>;
  readonly components: { readonly headers: Readonly<Record<string, { readonly required?: boolean }>> };
}
type Responses = Readonly<Record<string, DescribedAnswer>>;
interface DescribedAnswer {
  readonly headers?: Readonly<Record<string, { readonly $ref: string }>>;
  readonly content?: Readonly<Record<string, { readonly schema: object }>>;
}

interface Wire {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

const description = JSON.parse(
  readFileSync(join(process.cwd(), 'docs', 'openapi.json'), 'utf8'),
) as Description;
const ajv = new Ajv2020({ strict: false, allErrors: false });
ajv.addSchema({ $id: 'api', ...description });

const paths = Object.entries(description.paths).map(([path, methods]) => ({
  path,
  methods,
  pattern: new RegExp(`^/api${path.replace(/\{[^}]+\}/g, '[^/]+').replaceAll('.', '\\.')}/?$`, 'i'),
}));
const checks = new Map<string, ValidateFunction>();

/**
 * Holds an answer of the app against docs/openapi.json: status, headers, type and body.
 *
 * @throws Error that says what differs
 */
export function expectAsDescribed(method: string, url: string, answer: Wire): void {
  const fail = (what: string): never => {
    throw new Error(
      `${method} ${url} answered ${answer.status}, against docs/openapi.json: ${what}\n${answer.text.slice(0, 500)}`,
    );
  };
  const { pathname } = new URL(url);
  const found = paths.find(({ pattern }) => pattern.test(pathname));
  if (found === undefined) {
    const status = method === 'OPTIONS' ? 204 : 404;
    if (answer.status !== status) fail('this path is not described');
    return;
  }
  // HEAD is GET without the body, OPTIONS the browser's question, and what else is not described is not taken.
  const name = method === 'HEAD' ? 'get' : method.toLowerCase();
  const operation = found.methods[name];
  if (operation === undefined) {
    const status = method === 'OPTIONS' ? 204 : 405;
    if (answer.status !== status) fail(`expected ${status}`);
    return;
  }
  const key = String(answer.status);
  const described = operation.responses[key] ?? fail('this status is not described');
  for (const [header, { $ref }] of Object.entries(described.headers ?? {})) {
    const { required = false } = description.components.headers[$ref.split('/').at(-1) ?? ''] ?? {};
    if (required && !answer.headers.has(header)) fail(`the header ${header} is missing`);
  }
  if (method === 'HEAD') return;
  const type = answer.headers.get('content-type')?.split(';')[0];
  if (described.content === undefined) {
    if (answer.text !== '') fail('there is a body');
    return;
  }
  if (type === undefined || described.content[type] === undefined) return fail(`the type ${type}`);
  const at = ['paths', found.path, name, 'responses', key, 'content', type, 'schema'];
  const pointer = at.map((part) => part.replaceAll('~', '~0').replaceAll('/', '~1')).join('/');
  const check = checks.get(pointer) ?? ajv.compile({ $ref: `api#/${encodeURI(pointer)}` });
  checks.set(pointer, check);
  if (!check(JSON.parse(answer.text))) fail(ajv.errorsText(check.errors));
}
