import { app } from '@azure/functions';
import { RequestError } from '../shared/errors.ts';
import { edge, METHODS } from '../shared/http/edge.ts';
import { unmatchedRoute } from '../shared/http/unmatched-route.ts';
import { OPERATIONS } from '../shared/protocol/operations.ts';
import { appServices } from './services.ts';

/** Answers what no other function does, so that an unknown address too gets a problem document. */
app.http('Unmatched', {
  methods: [...METHODS],
  route: unmatchedRoute(Object.values(OPERATIONS).map(({ path }) => path)),
  authLevel: 'anonymous',
  handler: edge(
    METHODS,
    () => Promise.reject(new RequestError('not_found')),
    () => appServices().http,
  ),
});
