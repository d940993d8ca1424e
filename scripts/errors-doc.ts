import { ERRORS, type ErrorCode } from '../shared/protocol/index.ts';
import { renderTable } from './markdown-table.ts';

type Entry = (typeof ERRORS)[ErrorCode];

const INTRODUCTION = `# Errors

<!-- Written by \`npm run docs\` from shared/protocol/errors.ts. Change the table there, not here. -->

Every code a client can meet. A code is stable: its meaning never changes, and a new meaning gets a new code.

- A **request error** refuses the request as a whole. The answer has the status named here and is a problem document
  (RFC 9457, \`application/problem+json\`) with \`type\`, \`title\`, \`status\`, \`code\` and \`requestId\`, and \`detail\` and
  \`pointer\` where they help. A request refused with 4xx wrote nothing. With 5xx a part may have been written; repeat
  the very same request.
- A **change error** stands in \`error\` of one entry of \`results\`, in an answer with status 200. It says nothing about
  the other changes.

"Retryable" means that the very same request, or change, may succeed later unchanged.

The answer also carries the request id in the header \`x-request-id\`. The service takes the id that the client sends
in that header when it has 1 to 64 letters, digits, \`.\`, \`_\` or \`-\`, and makes one otherwise.

An address outside \`/api\` is answered by the Functions host itself, status 404 without a body; so is a body of more
than 100 MB, status 413, and what is no HTTP at all.
`;

/** Statuses that are about who calls. */
const CALLER: readonly number[] = [401, 403, 429];

const GROUPS: readonly { title: string; text: string; holds: (entry: Entry) => boolean }[] = [
  {
    title: 'Who is calling',
    text: `Request errors. Answers with status 401 carry a \`WWW-Authenticate: Bearer\` header, those with 429 a \`Retry-After\`
header, in seconds.`,
    holds: (entry) => entry.where === 'request' && CALLER.includes(entry.status),
  },
  {
    title: 'What was sent',
    text: 'Request errors.',
    holds: (entry) => entry.where === 'request' && entry.status < 500 && !CALLER.includes(entry.status),
  },
  {
    title: 'What went wrong here',
    text: 'Request errors. `unavailable` carries a `Retry-After` header, in seconds.',
    holds: (entry) => entry.where === 'request' && entry.status >= 500,
  },
  {
    title: 'One change among others',
    text: `Change errors. The result has the status \`rejected\`: never send the change again unchanged. For \`device_forked\`
and \`contended\` it is \`failed\`: the change was certainly not taken in; send the edit again as a new change.`,
    holds: (entry) => entry.where === 'change',
  },
];

/** The content of docs/errors.md. */
export function renderErrorsPage(): string {
  const entries = Object.entries(ERRORS);
  const sections = GROUPS.map(({ title, text, holds }) => {
    const rows = entries.filter(([, entry]) => holds(entry)).map(([code, entry]) => toRow(code, entry));
    return `## ${title}\n\n${text}\n\n${renderTable(['Code', 'Status', 'Retryable', 'Meaning', 'What to do'], rows)}`;
  });
  return [INTRODUCTION, ...sections].join('\n');
}

const toRow = (code: string, entry: Entry): string[] => [
  `\`${code}\``,
  entry.where === 'request' ? String(entry.status) : '',
  entry.retryable ? 'yes' : 'no',
  entry.title,
  entry.remedy,
];
