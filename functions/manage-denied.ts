import { appServices } from './services.ts';
import { serve } from './serve.ts';

/** Shows administrators who is locked out. */
serve('ManageDenied', async (request) => {
  const { access, denyList } = appServices();
  await access.authenticateAdmin(request);
  return { jsonBody: { entries: await denyList.entries() } };
});
