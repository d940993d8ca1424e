import { isAdmin } from '../shared/auth/identity.ts';
import { RequestError } from '../shared/errors.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Tells an administrator whether the service can do its work, by trying what it leans on. */
serve('Ready', async (request) => {
  const { authenticate, checkReadiness } = appServices();
  const identity = await authenticate(request);
  if (!isAdmin(identity)) throw new RequestError('role_insufficient');
  return { jsonBody: await checkReadiness(identity.ownScope) };
});
