import { readQuery } from '../shared/http/query.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Answers with the deletion log of the scopes that the caller may read. */
serve('ListDeletions', async (request) => {
  const { authenticate, listDeletions } = appServices();
  const identity = await authenticate(request);
  return { jsonBody: await listDeletions(readQuery(request, ['limit']), identity), cache: 'private' };
});
