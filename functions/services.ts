import { createServices, type Services } from '../shared/services.ts';
import syncConfig from '../sync.config.json' with { type: 'json' };

let services: Services | undefined;

/** The app's services, put together once from the settings of this process. */
export const appServices = (): Services => (services ??= createServices(process.env, syncConfig));
