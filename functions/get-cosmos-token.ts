import { readJson, SMALL_BODY } from '../shared/http/body.ts';
import { readQuery } from '../shared/http/query.ts';
import { parseTokenRequest } from '../shared/tokens/token-request.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Answers with short-lived Cosmos DB resource tokens, for the caller's own partition or the scopes asked for. */
serve('GetCosmosToken', async (request, context) => {
  const { access, tokensFor } = appServices();
  const identity = await access.authenticate(request);
  const hasBody = request.method === 'POST' && request.body !== null;
  const content = hasBody
    ? await readJson(request, SMALL_BODY)
    : readQuery(request, ['lifetime'], ['scopes']);
  const { scopes, mode, lifetime, deviceId } = parseTokenRequest(content, identity);
  access.note(request, {
    scope: scopes?.join(' ') ?? identity.ownScope,
    ...(mode === undefined ? {} : { mode }),
  });
  await access.checkDevice(request, identity, deviceId ?? null);
  const ask = { scopes: scopes ?? null, mode: mode ?? null, lifetime: lifetime ?? null };
  const jsonBody = await tokensFor(identity, ask, ({ scope, mode: granted, expiresAt }) =>
    access.record(request, context, 'mint', { scope, mode: granted, expiresAt }),
  );
  return { jsonBody };
});
