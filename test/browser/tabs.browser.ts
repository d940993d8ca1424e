import type { Browser, BrowserContext, Page } from 'playwright-core';
import { startGateway, type Gateway } from '../support/gateway.ts';
import { serveSync } from '../support/sync-server.ts';
import { launchBrowser } from './browser.ts';
import { pageFile, startSite, type Site } from './site.ts';

/** Several tabs of one app, which share one database, and what happens when one of them ends. */

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

let gateway: Gateway;
let site: Site;
let browser: Browser;
let context: BrowserContext;
beforeAll(async () => {
  gateway = await startGateway();
  closing.push(() => gateway.dispose());
  const server = await serveSync(gateway);
  closing.push(() => server.close());
  site = await startSite(
    { tab: pageFile('tab.ts'), 'database-worker': pageFile('database-worker.ts') },
    { gateway: server.url },
  );
  closing.push(() => site.close());
  browser = await launchBrowser();
  closing.push(() => browser.close());
});
beforeEach(async () => {
  context = await browser.newContext();
});
afterEach(() => context.close());

async function openTab(): Promise<Page> {
  const page = await context.newPage();
  await page.goto(`${site.url}/tab`);
  await page.evaluate(() => window.tab.store.query());
  return page;
}

it('a write in one tab is seen by a live query in the other', async () => {
  const [first, second] = [await openTab(), await openTab()];
  await first.evaluate(() => window.tab.add(0, 3));
  await second.waitForFunction(() => window.tab.seen.at(-1) === 3);
  await second.evaluate(() => window.tab.add(3, 1));
  await first.waitForFunction(() => window.tab.seen.at(-1) === 4);
});

it('tabs that write at once lose nothing and count right', async () => {
  const tabs = [await openTab(), await openTab(), await openTab()];
  await Promise.all(tabs.map((tab) => tab.evaluate(() => window.tab.count(15))));
  for (const tab of tabs)
    expect(await tab.evaluate(() => window.tab.store.get('counter'))).toMatchObject({ n: 45 });
});

it('one sync runs at a time: the second tab has nothing left to send', async () => {
  const [first, second] = [await openTab(), await openTab()];
  await first.evaluate(() => window.tab.add(0, 120));
  const [one, two] = await Promise.all(
    [first, second].map((tab) =>
      tab.evaluate(async () => {
        const { outcome, pushed, rejected, conflicts } = await window.tab.client.sync();
        return { outcome, pushed, rejected, conflicts };
      }),
    ),
  );
  expect([one!.outcome, two!.outcome]).toEqual(['synced', 'synced']);
  expect([one!.pushed, two!.pushed].sort((a, b) => a - b)).toEqual([0, 120]);
  expect(await first.evaluate(() => window.tab.pending())).toBe(0);
});

it('a tab that is closed in the middle of its work leaves the database to the others', async () => {
  const [first, second] = [await openTab(), await openTab()];
  await first.evaluate(() => {
    void window.tab.count(1_000_000);
  });
  await second.waitForFunction(() => window.tab.seen.at(-1) === 1);
  await first.close();
  await second.evaluate(() => window.tab.add(0, 10));
  const ids = await second.evaluate(async () => (await window.tab.store.query()).map(({ id }) => id));
  expect(ids).toHaveLength(11);
});

it('a page that is reloaded in the middle of a sync goes on where it was', async () => {
  const page = await openTab();
  await page.evaluate(() => window.tab.add(1_000, 300));
  // Some batches of fifty are answered, others are not.
  await page.evaluate(
    () =>
      new Promise<void>((resolve) => {
        window.tab.client.on('progress', ({ pending }) => {
          if (pending <= 250) resolve();
        });
        void window.tab.client.sync();
      }),
  );
  await page.reload();
  await page.evaluate(() => window.tab.store.query());
  const left = await page.evaluate(() => window.tab.pending());
  expect(left).toBeLessThanOrEqual(250);
  expect(left).toBeGreaterThan(0);
  const report = await page.evaluate(async () => {
    const { outcome, conflicts, rejected } = await window.tab.client.sync();
    return { outcome, conflicts, rejected };
  });
  expect(report).toEqual({ outcome: 'synced', conflicts: 0, rejected: 0 });
  expect(await page.evaluate(() => window.tab.pending())).toBe(0);
  const stored = (await gateway.items('user:tabs')).filter(({ id }) => /^items:d1[0-9]{3}$/.test(String(id)));
  expect(stored).toHaveLength(300);
  expect((await gateway.items('user:tabs')).filter(({ id }) => String(id).startsWith('~conflict'))).toEqual(
    [],
  );
});

it('a worker that cannot be loaded is told at once', async () => {
  const broken = await startSite({ tab: pageFile('tab.ts') });
  const page = await context.newPage();
  await page.goto(`${broken.url}/tab`);
  const code = await page.evaluate(() =>
    window.tab.store.query().then(
      () => 'opened',
      (error: unknown) => (error as { code: string }).code,
    ),
  );
  await broken.close();
  expect(code).toBe('storage_unavailable');
});
