import { readQuery } from '../shared/http/query.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Answers with the operation log: what the caller's devices synced; for administrators, what everybody's did. */
serve('ListOperations', async (request) => {
  const { authenticate, listOperations } = appServices();
  const identity = await authenticate(request);
  return { jsonBody: await listOperations(readQuery(request, ['limit']), identity), cache: 'private' };
});
