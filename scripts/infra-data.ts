import { SETTINGS } from '../shared/config.ts';
import { CONTAINERS } from '../shared/cosmos/containers.ts';
import type { Setting } from '../shared/settings/setting.ts';

const toJson = (value: unknown): string => `${JSON.stringify(value, null, 2)}\n`;

/** infra/generated/containers.json: the containers, which Bicep creates as they are. */
export const renderContainers = (): string => toJson(CONTAINERS);

/**
 * infra/generated/settings.json: what the function app is deployed with before anything else is known of it. Settings
 * that have to be given are not in it, so a template that forgets one does not start; secrets are in no template.
 */
export const renderSettingDefaults = (
  settings: Readonly<Record<string, Setting<unknown>>> = SETTINGS,
): string =>
  toJson(
    Object.fromEntries(
      Object.entries(settings)
        .filter(([, { isSecret, need }]) => !isSecret && ('default' in need || 'optional' in need))
        .map(([name, { need }]) => [name, 'default' in need ? need.default : '']),
    ),
  );
