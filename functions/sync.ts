import { app } from '@azure/functions';
import { readJson } from '../shared/http/body.ts';
import { edge } from '../shared/http/edge.ts';
import { appServices } from './services.ts';

/** Takes in a device's pending changes and answers with what it has not seen. */
app.http('Sync', {
  methods: ['POST'],
  route: 'sync',
  authLevel: 'anonymous', // The bearer token is verified below; function keys would end up in every client.
  handler: edge(async (request, context) => {
    const { authenticate, sync, syncConfig } = appServices();
    const identity = await authenticate(request.headers.get('authorization'));
    const body = await readJson(request, syncConfig.limits.maxBodyBytes);
    return { jsonBody: await sync(body, identity, (message) => context.warn(message)) };
  }),
});
