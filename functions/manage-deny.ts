import { readJson, SMALL_BODY } from '../shared/http/body.ts';
import { DenyRequest } from '../shared/protocol/manage.ts';
import { parseBody } from '../shared/validation/parse-body.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

const parse = parseBody(DenyRequest);

/** Lets administrators lock out a user, a device or a bearer token. */
serve('ManageDeny', async (request, context) => {
  const { access, denyList } = appServices();
  const admin = await access.authenticateAdmin(request);
  const entry = await denyList.deny(parse(await readJson(request, SMALL_BODY)), admin);
  access.record(request, context, 'deny', { entry: entry.id });
  return { jsonBody: entry };
});
