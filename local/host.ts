import { refuseInAzure, requireLoopback, loopbackUrl } from './development-only.ts';
import { loadApp } from './host/app.ts';
import type { Hooks } from './host/hooks.ts';
import { readHttpFunction, triggerType } from './host/http-function.ts';
import { createHttpServer } from './host/http-server.ts';
import type { CallLog } from './host/invocation.ts';
import type { LogEntry } from './host/log.ts';
import { listen } from './listen.ts';

export type { LogEntry } from './host/log.ts';

/** How long calls that are being served may take to finish at the end; Azure grants about the same. */
const GRACE_MS = 5_000;

export interface HostOptions {
  /** Folder with host.json, package.json and the bundle that its `main` names. */
  readonly appDir: string;
  /** 0 takes a free one. Default: 7071, as Core Tools. */
  readonly port?: number;
  /** 127.0.0.1 (default) or ::1. */
  readonly host?: string;
  readonly log?: (entry: LogEntry) => void;
}

export interface FunctionInfo {
  readonly name: string;
  /** With the prefix, without a leading slash; undefined where the trigger is not HTTP. */
  readonly route?: string;
  readonly methods?: readonly string[];
  /** What Azure will ask for. Here no key is asked for, as under Core Tools. */
  readonly authLevel?: string;
  readonly trigger: string;
}

export interface Host {
  /** `http://127.0.0.1:7071` */
  readonly url: string;
  readonly functions: readonly FunctionInfo[];
  /** Lets running calls finish for a few seconds, runs `appTerminate` hooks, closes everything. Safe to repeat. */
  dispose(): Promise<void>;
}

/**
 * Runs a built function app in this process, as Azure Functions Core Tools would, for machines where they cannot be
 * installed. The app's files are used as they are; HTTP functions are served, timers run when asked to, other triggers
 * are only listed.
 *
 * @throws Error in Azure, for an address other than loopback, and for an app that does not load.
 * @throws PortInUseError
 */
export async function startHost(options: HostOptions): Promise<Host> {
  const { appDir, port = 7071, host = '127.0.0.1' } = options;
  refuseInAzure('The local host', process.env);
  requireLoopback('The local host', host);

  const logFor =
    (hooks: Hooks): CallLog =>
    (entry, context) =>
      options.log?.(hooks.runForLog({ time: new Date(), ...entry }, context));
  const app = await loadApp(appDir, (hooks) => (entry) => logFor(hooks)(entry, undefined));
  const log = logFor(app.hooks);
  try {
    const http = app.functions.flatMap((each) => readHttpFunction(each, app.routePrefix) ?? []);
    const others = app.functions.filter((each) => !http.some(({ registered }) => registered === each));
    for (const each of others) {
      const message =
        triggerType(each) === 'timerTrigger'
          ? `is run here when asked to: POST /admin/functions/${each.metadata.name}`
          : `is not run here: this host has no ${triggerType(each)}.`;
      log({ level: 'warning', category: 'host', functionName: each.metadata.name, message }, undefined);
    }
    const web = createHttpServer(app, http, log);
    const url = loopbackUrl(host, await listen(web.server, port, host));

    let ending: Promise<void> | undefined;
    const end = async () => {
      const closed = new Promise<void>((resolve) => web.server.close(() => resolve()));
      await within(GRACE_MS, web.settled());
      web.server.closeAllConnections();
      await closed;
      await app.stop();
    };
    return {
      url,
      functions: [
        ...http.map(({ name, route, methods, authLevel }) => ({
          name,
          route: route.template,
          methods,
          authLevel,
          trigger: 'httpTrigger',
        })),
        ...others.map((each) => ({ name: each.metadata.name, trigger: triggerType(each) })),
      ],
      dispose: () => (ending ??= end()),
    };
  } catch (error) {
    await app.stop();
    throw error;
  }
}

async function within(milliseconds: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, milliseconds);
  });
  await Promise.race([work, expired]);
  clearTimeout(timer);
}
