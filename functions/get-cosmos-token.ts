import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Answers with a short-lived Cosmos DB resource token for the caller's own partition. */
serve('GetCosmosToken', async (request) => {
  const { authenticate, tokenFor } = appServices();
  const identity = await authenticate(request.headers.get('authorization'));
  return { jsonBody: await tokenFor(identity) };
});
