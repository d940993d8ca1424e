/** A table as the formatter of this repository lays it out: columns as wide as their widest cell. */
export function renderTable(head: readonly string[], rows: readonly string[][]): string {
  const cells = rows.map((row) => row.map((text) => text.replaceAll('|', '\\|')));
  const width = head.map((title, column) =>
    Math.max(3, title.length, ...cells.map((row) => (row[column] ?? '').length)),
  );
  const line = (row: readonly string[], fill = ' '): string =>
    `| ${width.map((size, column) => (row[column] ?? '').padEnd(size, fill)).join(' | ')} |\n`;
  return line(head) + line([], '-') + cells.map((row) => line(row)).join('');
}
