import { readJson } from '../shared/http/body.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Takes in a device's pending changes and answers with what it has not seen. */
serve('Sync', async (request, context, requestId) => {
  const { authenticate, sync, syncConfig } = appServices();
  const identity = await authenticate(request.headers.get('authorization'));
  const body = await readJson(request, syncConfig.limits);
  return { jsonBody: await sync(body, identity, { requestId, warn: (message) => context.warn(message) }) };
});
