import { isJsonObject } from '../shared/conflict/index.ts';
import { readJson } from '../shared/http/body.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Takes in a device's pending changes and answers with what it has not seen. */
serve('Sync', async (request, context, requestId) => {
  const { access, sync, syncConfig } = appServices();
  const identity = await access.authenticate(request);
  const body = await readJson(request, syncConfig.limits);
  await access.checkDevice(request, identity, deviceOf(body));
  const answer = await sync(body, identity, { requestId, warn: (message) => context.warn(message) });
  if (answer.results.some(({ error }) => error?.code === 'scope_forbidden')) {
    access.record(request, context, 'refused', { code: 'scope_forbidden' });
  }
  return { jsonBody: answer };
});

/** The device that a body names, before anything of it is checked; a body without one is refused later anyway. */
const deviceOf = (body: unknown): string =>
  isJsonObject(body) && typeof body['deviceId'] === 'string' ? body['deviceId'].slice(0, 64) : '';
