import { readJson, SMALL_BODY } from '../shared/http/body.ts';
import { AllowRequest } from '../shared/protocol/manage.ts';
import { parseBody } from '../shared/validation/parse-body.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

const parse = parseBody(AllowRequest);

/** Lets administrators end an entry of the deny list. */
serve('ManageAllow', async (request, context) => {
  const { access, denyList } = appServices();
  await access.authenticateAdmin(request);
  const { id } = parse(await readJson(request, SMALL_BODY));
  await denyList.allow(id);
  access.record(request, context, 'allow', { entry: id });
  return { jsonBody: { id } };
});
