import { existsSync } from 'node:fs';
import { chromium, type Browser } from 'playwright-core';

/** Where Debian and Ubuntu have it; `CHROMIUM` says where it is elsewhere. */
const EXECUTABLE = process.env['CHROMIUM'] ?? '/usr/bin/chromium';

/** A headless Chromium that calls nobody. Close it in the end: that ends its processes. */
export function launchBrowser(): Promise<Browser> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(
      `There is no Chromium at ${EXECUTABLE}. Install it, or say where it is: CHROMIUM=/path npm run test:browser`,
    );
  }
  return chromium.launch({
    executablePath: EXECUTABLE,
    headless: true,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
