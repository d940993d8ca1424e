import { join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { buildApp, serveApp, type AppServer } from '../../examples/notes-web/server.ts';
import { startStack } from '../../local/stack.ts';
import { launchBrowser } from './browser.ts';

/**
 * examples/notes-web as two people with two devices use it: against the whole stack, across origins, under its own policy.
 *
 * The pictures of the documentation come from here: `SCREENSHOTS=1 npm run test:browser -- notes`
 */
const SCREENSHOTS = process.env['SCREENSHOTS'] !== undefined;
const root = process.cwd();

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

let app: AppServer;
let browser: Browser;
const problems: string[] = [];
beforeAll(async () => {
  const client = (file: string): string => join(root, 'client', 'src', file);
  const files = await buildApp(join(root, 'examples', 'notes-web', 'src'), {
    '@tidemark/client/wasm-worker': client('drivers/wasm-worker.ts'),
    '@tidemark/client/wasm': client('drivers/wasm.ts'),
    '@tidemark/client': client('index.ts'),
  });
  app = await serveApp(files, 0);
  closing.push(() => app.close());
  const stack = await startStack({ quiet: true, settings: { CORS_ALLOWED_ORIGINS: app.url } });
  closing.push(() => stack.dispose());
  app.config = { api: stack.api, issuer: stack.issuer };
  browser = await launchBrowser();
  closing.push(() => browser.close());
});

/** Whatever a page complains about: a policy that was broken, an error that nobody caught. */
afterEach(() => {
  expect(problems.splice(0)).toEqual([]);
});

async function openDevice(size = { width: 1100, height: 720 }, dark = false): Promise<BrowserContext> {
  const context = await browser.newContext({
    viewport: size,
    colorScheme: dark ? 'dark' : 'light',
    locale: 'en-GB',
  });
  context.on('weberror', (error) => problems.push(error.error().message));
  context.on('console', (message) => {
    // Without a network the browser itself reports each request as an error.
    if (message.type() === 'error' && !message.text().includes('net::ERR_')) problems.push(message.text());
  });
  return context;
}

async function signIn(context: BrowserContext, user: string): Promise<Page> {
  const page = await context.newPage();
  await page.goto(app.url);
  await page.getByRole('button', { name: `Continue as ${user}` }).click();
  await page.getByRole('button', { name: 'New note' }).waitFor();
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined));
  return page;
}

const status = (page: Page, text: string | RegExp): Promise<void> =>
  page.getByRole('status').filter({ hasText: text }).waitFor();

async function sync(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Sync', exact: true }).click();
  await status(page, 'Online · up to date');
}

async function write(page: Page, title: string, text: string): Promise<void> {
  await page.getByRole('button', { name: 'New note' }).click();
  await page.getByLabel('Title').fill(title);
  await page.getByLabel('Text').fill(text);
  await page.getByRole('button', { name: 'Done' }).click();
}

async function rewrite(page: Page, title: string, text: string): Promise<void> {
  await page.getByRole('button', { name: title }).click();
  await page.getByLabel('Text').fill(text);
  await page.getByRole('button', { name: 'Done' }).click();
}

/** Does something, and waits until a request with this text in it is answered. */
async function sending(page: Page, text: string, work: () => Promise<void>): Promise<void> {
  const answered = page.waitForResponse(
    (response) =>
      response.url().endsWith('/api/sync') && (response.request().postData() ?? '').includes(text),
  );
  await work();
  await answered;
}

/** Waits until these notes are listed, and no others. */
const lists = async (page: Page, titles: readonly string[]): Promise<void> => {
  await page.waitForFunction(
    (expected) =>
      JSON.stringify(
        [...document.querySelectorAll('#list strong')].map(({ textContent }) => textContent).sort(),
      ) === expected,
    JSON.stringify([...titles].sort()),
  );
};
const listed = async (page: Page): Promise<string[]> => page.locator('#list strong').allTextContents();
const picture = async (page: Page, name: string): Promise<void> => {
  if (SCREENSHOTS)
    await page.screenshot({ path: join(root, 'docs', 'images', `${name}.png`), caret: 'hide' });
};

it('two devices that edited offline come to show the same, and the one whose edit lost may choose', async () => {
  const laptop = await openDevice();
  const phone = await openDevice({ width: 390, height: 780 }, true);
  const desk = await signIn(laptop, 'Alice');
  const hand = await signIn(phone, 'Alice');
  await write(desk, 'Tide tables', 'High water 06:12 and 18:40.\nSpring tide on Friday.');
  await sending(desk, 'Batteries', () =>
    write(desk, 'Shopping', 'Oat milk\nRope, 20 m\nBatteries for the torch'),
  );
  await sync(hand);
  await lists(hand, ['Shopping', 'Tide tables']);

  await laptop.setOffline(true);
  await phone.setOffline(true);
  await rewrite(desk, 'Shopping', 'Oat milk\nRope, 30 m');
  await status(desk, 'Offline · 1 change to send');
  await write(hand, 'From the pier', 'Two seals. No network at all.');
  await rewrite(hand, 'Shopping', 'Oat milk\nA chart of the bay');
  await status(hand, 'Offline · 2 changes to send');
  await picture(hand, 'notes-offline-phone');

  await phone.setOffline(false);
  await status(hand, 'Online · up to date');
  await laptop.setOffline(false);
  const conflict = desk.getByRole('region', { name: 'Conflicts' });
  await conflict.getByText('was changed on two devices').waitFor();
  await status(desk, 'Online · up to date');
  await lists(desk, ['From the pier', 'Shopping', 'Tide tables']);
  expect(await conflict.textContent()).toContain('A chart of the bay');
  expect(await conflict.textContent()).toContain('Rope, 30 m');
  await desk.getByRole('button', { name: 'Tide tables' }).click();
  await picture(desk, 'notes-conflict');

  await sending(desk, 'Rope, 30 m', () => conflict.getByRole('button', { name: 'Use this version' }).click());
  await conflict.waitFor({ state: 'hidden' });
  await hand.getByRole('button', { name: 'Shopping' }).click();
  await sync(hand);
  await hand.waitForFunction(
    () => document.querySelector<HTMLTextAreaElement>('#text')?.value === 'Oat milk\nRope, 30 m',
  );
  await laptop.close();
  await phone.close();
});

it('opens without a network, with everything that was written, and sends it later', async () => {
  const context = await openDevice();
  const page = await signIn(context, 'Bob');
  await sending(page, 'in the browser', () => write(page, 'Kept', 'in the browser'));
  await context.setOffline(true);
  await write(page, 'Written offline', '');
  await page.reload();
  await status(page, 'Offline · 1 change to send');
  await lists(page, ['Kept', 'Written offline']);
  await page.getByRole('searchbox').fill('BROWSER');
  await lists(page, ['Kept']);
  await context.setOffline(false);
  await status(page, 'Online · up to date');
  await context.close();
});

it('a note that is deleted is gone on the other device, and users of one device see their own notes', async () => {
  const context = await openDevice();
  const page = await signIn(context, 'Bob');
  await sync(page);
  await page.getByRole('button', { name: 'Kept' }).click();
  await sending(page, '"delete"', () => page.getByRole('button', { name: 'Delete' }).click());
  await page.getByRole('button', { name: 'Kept' }).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByRole('button', { name: 'Continue as Alice' }).click();
  await sync(page);
  await page.getByRole('button', { name: 'Tide tables' }).waitFor();
  expect(await listed(page)).not.toContain('Written offline');
  const other = await openDevice();
  const fresh = await signIn(other, 'Bob');
  await sync(fresh);
  await lists(fresh, ['Written offline']);
  await context.close();
  await other.close();
});
