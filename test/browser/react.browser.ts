import type { Browser, Page } from 'playwright-core';
import { launchBrowser } from './browser.ts';
import { pageFile, startSite, type Site } from './site.ts';

/** `useQuery` under React itself, in strict mode. */

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

let site: Site;
let browser: Browser;
let page: Page;
const problems: string[] = [];
beforeAll(async () => {
  site = await startSite({ react: pageFile('react.tsx'), 'database-worker': pageFile('database-worker.ts') });
  closing.push(() => site.close());
  browser = await launchBrowser();
  closing.push(() => browser.close());
});
beforeEach(async () => {
  page = await browser.newPage();
  // React tells of endless renders and of snapshots that are never the same here.
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type()) && !message.location().url.endsWith('favicon.ico')) {
      problems.push(message.text());
    }
  });
  page.on('pageerror', (error) => problems.push(error.message));
  await page.goto(`${site.url}/react`);
});
afterEach(async () => {
  await page.close();
  expect(problems.splice(0)).toEqual([]);
});

const shows = async (one: string): Promise<void> => {
  for (const id of ['one', 'two'])
    await page.locator(`#${id}`, { hasText: new RegExp(`^${one}$`) }).waitFor();
};
const press = (name: string): Promise<void> => page.getByRole('button', { name }).click();
const watchers = (): Promise<number> => page.evaluate(() => window.hook.watchers);

it('shows the result, and the next one when a document changes', async () => {
  await page.evaluate(() => window.hook.store.upsert({ id: '1', title: 'first', done: false }));
  await shows('first');
  await page.evaluate(() =>
    window.hook.store.upsertBulk([
      { id: '2', title: 'second', done: false },
      { id: '3', title: 'other', done: true },
    ]),
  );
  await shows('first second');
});

it('is mounted twice by strict mode and listens once, and not at all when it is gone', async () => {
  await page.evaluate(() => window.hook.store.upsert({ id: '1', title: 'first', done: false }));
  await shows('first');
  expect(await watchers()).toBe(2);
  await press('toggle');
  await page.locator('#one').waitFor({ state: 'detached' });
  expect(await watchers()).toBe(0);
  await page.evaluate(() => window.hook.store.upsert({ id: '2', title: 'second', done: false }));
  await press('toggle');
  await shows('first second');
  expect(await watchers()).toBe(2);
});

it('another query is another result, and the one before it is let go', async () => {
  await page.evaluate(() =>
    window.hook.store.upsertBulk([
      { id: '1', title: 'open', done: false },
      { id: '2', title: 'done', done: true },
    ]),
  );
  await shows('open');
  await press('other query');
  await shows('done');
  expect(await watchers()).toBe(2);
});

it('renders no more than it has to: a write that leaves the result as it is renders nothing', async () => {
  await page.evaluate(() => window.hook.store.upsert({ id: '1', title: 'first', done: false }));
  await shows('first');
  const before = await page.evaluate(() => window.hook.renders);
  await page.evaluate(() => window.hook.store.upsert({ id: '2', title: 'elsewhere', done: true }));
  // The next change that matters comes after it.
  await page.evaluate(() => window.hook.store.upsert({ id: '3', title: 'last', done: false }));
  await shows('first last');
  // Two components, each rendered twice by strict mode.
  expect((await page.evaluate(() => window.hook.renders)) - before).toBe(4);
});
