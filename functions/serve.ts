import { app } from '@azure/functions';
import { edge, METHODS, type Answer } from '../shared/http/edge.ts';
import { OPERATIONS, type OperationName } from '../shared/protocol/operations.ts';
import { appServices } from './services.ts';

/**
 * Registers the function of an operation: its name, route and methods stand in the table of operations. It is
 * registered for every method, so that a wrong one and the preflight of a browser are answered as the protocol says
 * and not by the host.
 */
export function serve(name: OperationName, answer: Answer): void {
  const { path, methods } = OPERATIONS[name];
  const handle = edge(methods, audited(answer), () => appServices().http);
  app.http(name, {
    methods: [...METHODS],
    route: path,
    // Bearer tokens are verified by the function; function keys would end up in every client.
    authLevel: 'anonymous',
    handler: (request, context) =>
      appServices().reporter.request(name, context.traceContext?.traceParent, () => handle(request, context)),
  });
}

/** Puts refusals that say who may do what into the audit, whichever function they come from. */
const audited =
  (answer: Answer): Answer =>
  async (request, context, requestId) => {
    try {
      return await answer(request, context, requestId);
    } catch (error) {
      appServices().access.refused(request, context, error);
      throw error;
    }
  };
