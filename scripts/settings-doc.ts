import { SETTINGS } from '../shared/config.ts';
import type { Setting } from '../shared/settings/setting.ts';
import { renderTable } from './markdown-table.ts';

/** The table of settings in docs/operations.md. */
export function renderSettings(settings: Readonly<Record<string, Setting<unknown>>> = SETTINGS): string {
  const rows = Object.entries(settings).map(([name, { need, accepts, meaning }]) => [
    `\`${name}\``,
    accepts,
    describeNeed(need),
    meaning,
  ]);
  return renderTable(['Setting', 'Accepts', 'Default', 'Meaning'], rows);
}

function describeNeed(need: Setting<unknown>['need']): string {
  if ('default' in need) return `\`${need.default}\``;
  if (!('example' in need)) return 'none';
  return 'requiredWhen' in need ? `required ${need.requiredWhen}` : 'required';
}
