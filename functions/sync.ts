import { isJsonObject } from '../shared/conflict/index.ts';
import { readJson } from '../shared/http/body.ts';
import { foreignScopes } from '../shared/sync/foreign-scopes.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Characters of the scopes that a line of the audit tells. */
const MAX_AUDITED = 1_000;

/** Takes in a device's pending changes and answers with what it has not seen. */
serve('Sync', async (request, context, requestId) => {
  const { access, sync, syncConfig } = appServices();
  const identity = await access.authenticate(request);
  const body = await readJson(request, syncConfig.limits);
  await access.checkDevice(request, identity, deviceOf(body));
  const answer = await sync(body, identity, { requestId, warn: (message) => context.warn(message) });
  const foreign = foreignScopes(body as object, answer);
  if (foreign.length > 0) {
    const scope = foreign.join(' ').slice(0, MAX_AUDITED);
    access.record(request, context, 'refused', { code: 'scope_forbidden', scope });
  }
  return { jsonBody: answer };
});

/** The device that a body names, before anything of it is checked; a body without one is refused later anyway. */
const deviceOf = (body: unknown): string =>
  isJsonObject(body) && typeof body['deviceId'] === 'string' ? body['deviceId'].slice(0, 64) : '';
