import type { App } from './app.ts';
import type { Log } from './log.ts';
import type {
  CoreInvocationContext,
  InvocationRequest,
  InvocationResponse,
  RegisteredFunction,
} from './types.ts';

/** Writes an entry of one call; `context` is what the app's log hooks get to see of the call. */
export type CallLog = (entry: Parameters<Log>[0], context: unknown) => void;

/**
 * Runs a function once, step by step as the Node.js worker does: arguments, hooks before, the handler, hooks after,
 * the response. It serves every kind of trigger; the request says which.
 *
 * @throws whatever the handler, a hook or the conversion of the result throws.
 */
export async function invoke(
  app: App,
  registered: RegisteredFunction,
  request: InvocationRequest,
  log: CallLog,
): Promise<InvocationResponse> {
  const { metadata } = registered;
  const call: { context?: unknown } = {};
  const core: CoreInvocationContext = {
    invocationId: request.invocationId,
    request,
    metadata,
    state: undefined,
    log: (level, category, message) =>
      log(
        { level, category, message, functionName: metadata.name, invocationId: request.invocationId },
        call.context,
      ),
  };
  const inState = async <T>(state: CoreInvocationContext['state'], work: () => Promise<T>): Promise<T> => {
    core.state = state;
    try {
      return await work();
    } finally {
      core.state = undefined;
    }
  };

  const model = app.model.getInvocationModel(core);
  const { context, inputs } = await model.getArguments();
  call.context = context;
  const hookData = {};

  const before = await inState('preInvocationHooks', () =>
    app.hooks.runForCall('preInvocation', hookData, context, {
      inputs,
      functionCallback: registered.callback,
    }),
  );
  const outcome = await inState('invocation', () =>
    model.invokeFunction(context, before.inputs, before.functionCallback).then(
      (result) => ({ result, error: null as unknown }),
      (error: unknown) => ({ result: null as unknown, error: error ?? new Error('Unknown error') }),
    ),
  );
  const after = await inState('postInvocationHooks', () =>
    app.hooks.runForCall('postInvocation', hookData, context, { inputs: before.inputs, ...outcome }),
  );
  // eslint-disable-next-line @typescript-eslint/only-throw-error -- handlers may throw anything, and hooks may replace it
  if (after.error !== null && after.error !== undefined) throw after.error;
  return model.getResponse(context, after.result);
}
