import { readQuery } from '../shared/http/query.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Answers with checksums over the documents of a scope, for a client to compare with its own. */
serve('CompareChecksums', async (request) => {
  const { authenticate, checksums } = appServices();
  const identity = await authenticate(request);
  const query = readQuery(request, [], ['collections']);
  return { jsonBody: await checksums(query, identity), cache: 'private' };
});
