import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createServices, type Services } from '../shared/services.ts';

let services: Services | undefined;

/** The app's services, put together once from the settings of this process and from what was built beside the app. */
export const appServices = (): Services =>
  (services ??= createServices(
    process.env,
    readFileSync(join(__dirname, 'sync.config.json'), 'utf8'),
    join(__dirname, 'sync.rules.cjs'),
  ));
