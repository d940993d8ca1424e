import type { Envelope } from '../support/ingestion.ts';

/** Rows of a table of the workspace, as Application Insights makes them of what it is sent. */
export type Tables = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;

/** https://learn.microsoft.com/azure/azure-monitor/app/data-model-complete: what becomes of each item. */
export function toTables(envelopes: readonly Envelope[]): Tables {
  const tables: Record<string, Record<string, unknown>[]> = {
    AppMetrics: [],
    AppEvents: [],
    AppDependencies: [],
  };
  for (const { tags, data } of envelopes) {
    const { baseType, baseData } = data;
    const common = {
      TimeGenerated: '',
      OperationId: tags['ai.operation.id'],
      Properties: baseData.properties ?? {},
    };
    if (baseType === 'EventData') tables['AppEvents']?.push({ ...common, Name: baseData.name });
    if (baseType === 'RemoteDependencyData') {
      tables['AppDependencies']?.push({
        ...common,
        Name: baseData.name,
        DependencyType: baseData['type'],
        DurationMs: baseData['duration'],
        Success: baseData['success'],
        Target: baseData['target'],
      });
    }
    if (baseType !== 'MetricData') continue;
    for (const metric of baseData.metrics ?? []) {
      tables['AppMetrics']?.push({
        ...common,
        Name: metric.name,
        Sum: metric.value,
        ItemCount: metric.count,
        Min: metric.value,
        Max: metric.value,
      });
    }
  }
  return tables;
}

/** Words that are no columns. */
const WORDS = new Set(
  'where summarize extend project order top by and or in has asc desc true false'.split(' '),
);

/**
 * What a query asks for that is not there: tables, columns, names of events and metrics, properties of these. It
 * follows the columns from step to step, for the operators that our queries use.
 */
export function findUnknown(query: string, tables: Tables): string[] {
  const [table = '', ...steps] = query
    .replace(/^\/\/.*$/gm, '')
    .trim()
    .split(/\s*\n\| /);
  const rows = tables[table];
  if (rows === undefined) return [`table ${table}`];
  const unknown: string[] = [];
  const asked = [...query.matchAll(/\b(?:Name|DependencyType) (?:==|in) (\([^)]*\)|"[^"]*")/g)].flatMap(
    ([, values = '']) => [...values.matchAll(/"([^"]*)"/g)].map(([, value = '']) => value),
  );
  const meant = rows.filter((row) =>
    [row['Name'], row['DependencyType']].some((name) => asked.includes(String(name))),
  );
  for (const value of asked) {
    if (!rows.some((row) => Object.values(row).includes(value))) unknown.push(`"${value}" in ${table}`);
  }

  let columns = new Set(rows.flatMap((row) => Object.keys(row)));
  for (const step of steps) {
    const made = new Set([...step.matchAll(/(?:^\w+ |[,(] |by |, )(\w+) = /g)].map(([, name = '']) => name));
    for (const [, dotted, indexed] of step.matchAll(/\bProperties(?:\.(\w+)|\["([^"]+)"\])/g)) {
      const property = dotted ?? indexed ?? '';
      const holds = meant.some((row) => property in (row['Properties'] as object));
      if (!holds) unknown.push(`${asked.join('|')}.Properties.${property}`);
    }
    const names = step
      .replace(/"[^"]*"/g, '')
      .replace(/\bProperties(\.\w+|\[\])/g, 'Properties')
      .matchAll(/(?<![\w.])([A-Za-z_]\w*)\b(?!\s*\()/g);
    const used = new Set([...names].map(([, name = '']) => name));
    for (const name of used) {
      if (!columns.has(name) && !made.has(name) && !WORDS.has(name)) unknown.push(`column ${name}`);
    }
    if (step.startsWith('extend')) columns = new Set([...columns, ...made]);
    if (/^(summarize|project)/.test(step)) {
      const kept = [...used].filter((name) => columns.has(name) && isKept(step, name));
      columns = new Set([...made, ...kept]);
    }
  }
  return [...new Set(unknown)];
}

/** A column that a step passes on under its own name: a bare word of `project`, or what `summarize` groups by. */
const isKept = (step: string, name: string): boolean => {
  const list = step.startsWith('project') ? step.slice('project'.length) : (step.split(/ by /)[1] ?? '');
  return new RegExp(`(^|[,(]) ?${name}\\b`).test(list.trim()) || list.trim().startsWith(name);
};
