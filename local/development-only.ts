/**
 * Settings that only the Azure platform makes. `WEBSITE_HOSTNAME` and `FUNCTIONS_WORKER_RUNTIME` are left out on purpose:
 * Core Tools and local.settings.json carry them on laptops too.
 */
const AZURE_SETTINGS = [
  'WEBSITE_INSTANCE_ID',
  'WEBSITE_SITE_NAME',
  'WEBSITE_POD_NAME',
  'FUNCTIONS_EXTENSION_VERSION',
] as const;

const LOOPBACK = new Set(['127.0.0.1', '::1']);

/**
 * Stops development code that finds itself in Azure: it checks no function keys and hands out tokens to anybody.
 *
 * @throws Error naming the setting that gave the place away.
 */
export function refuseInAzure(what: string, environment: NodeJS.ProcessEnv = process.env): void {
  const setting = AZURE_SETTINGS.find((name) => environment[name]);
  if (setting === undefined) return;
  throw new Error(
    `${what} is for development only and does not run in Azure (the setting ${setting} is present).`,
  );
}

/**
 * Refuses every address but the machine's own: nothing here is fit to be seen from a network.
 *
 * @throws Error naming the address.
 */
export function requireLoopback(what: string, host: string): void {
  if (LOOPBACK.has(host)) return;
  throw new Error(`${what} listens on 127.0.0.1 or ::1 only, not on "${host}".`);
}

/** `http://127.0.0.1:7071` from its parts, with brackets around an IPv6 address. */
export function loopbackUrl(host: string, port: number): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Whether a Host header or an Origin's host names this machine, whatever the port. */
export function isLoopbackName(hostname: string): boolean {
  return hostname === 'localhost' || LOOPBACK.has(hostname.replace(/^\[|\]$/g, ''));
}
