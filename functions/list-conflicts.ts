import { readQuery } from '../shared/http/query.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Answers with the conflict log of the scopes that the caller may read. */
serve('ListConflicts', async (request) => {
  const { authenticate, listConflicts } = appServices();
  const identity = await authenticate(request);
  return { jsonBody: await listConflicts(readQuery(request, ['limit']), identity), cache: 'private' };
});
