import { app } from '@azure/functions';
import { edge } from '../shared/http/edge.ts';
import { appServices } from './services.ts';

/** Answers with a short-lived Cosmos DB resource token for the caller's own partition. */
app.http('GetCosmosToken', {
  methods: ['GET', 'POST'],
  route: 'GetCosmosToken',
  authLevel: 'anonymous', // The bearer token is verified below; function keys would end up in every client.
  handler: edge(async (request) => {
    const { authenticate, tokenFor } = appServices();
    const identity = await authenticate(request.headers.get('authorization'));
    return { jsonBody: await tokenFor(identity) };
  }),
});
