import { readJson } from '../shared/http/body.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Puts a version that lost a conflict back, as a new edit of the caller. */
serve('RestoreConflict', async (request) => {
  const { authenticate, restore, syncConfig } = appServices();
  const identity = await authenticate(request);
  const body = await readJson(request, syncConfig.limits);
  return { jsonBody: await restore(request.params['id'] ?? '', body, identity) };
});
