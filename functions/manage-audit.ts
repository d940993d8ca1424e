import { readQuery } from '../shared/http/query.ts';
import { AuditQuery } from '../shared/protocol/manage.ts';
import { parseBody } from '../shared/validation/parse-body.ts';
import { appServices } from './services.ts';
import { serve } from './serve.ts';

const parse = parseBody(AuditQuery);

/** Shows administrators the audit, newest first. */
serve('ManageAudit', async (request) => {
  const { access, audit } = appServices();
  await access.authenticateAdmin(request);
  return { jsonBody: await audit.list(parse(readQuery(request, ['limit']))) };
});
