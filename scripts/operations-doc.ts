import { OPERATIONS, type Operation } from '../shared/protocol/operations.ts';
import { renderTable } from './markdown-table.ts';

const CALLERS: Readonly<Record<Operation['caller'], string>> = {
  anybody: 'anybody, without a token',
  user: 'a user',
  admin: 'an administrator',
};

/** The table of addresses in docs/protocol.md. */
export const renderOperations = (operations: Readonly<Record<string, Operation>> = OPERATIONS): string =>
  renderTable(
    ['Address', 'Who may call', 'What it does'],
    Object.values(operations).map(({ path, methods, caller, summary }) => [
      `${methods.map((method) => `\`${method}\``).join(' or ')} \`/api/${path}\``,
      CALLERS[caller],
      `${summary}.`.replace('?.', '?'),
    ]),
  );
