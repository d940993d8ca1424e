import { readJson } from '../shared/http/body.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Answers with the documents in which a client differs from the service. */
serve('FetchBuckets', async (request) => {
  const { authenticate, integrityDocuments, syncConfig } = appServices();
  const identity = await authenticate(request);
  const body = await readJson(request, syncConfig.limits);
  return { jsonBody: await integrityDocuments(body, identity) };
});
