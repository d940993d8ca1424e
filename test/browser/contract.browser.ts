import { CosmosClient, PermissionMode } from '@azure/cosmos';
import type { Page } from 'playwright-core';
import { startGateway } from '../support/gateway.ts';
import { storeContract } from '../support/store-contract.ts';
import { syncContract, type SyncWorld } from '../support/sync-contract.ts';
import { mintOwn } from '../support/mint.ts';
import { serveSync } from '../support/sync-server.ts';
import { launchBrowser } from './browser.ts';
import { collect } from './pages/cases.ts';
import { pageFile, startSite } from './site.ts';

/** What stores and transports promise, kept by sqlite-wasm on OPFS in Chromium. The suites run in the page. */

const closing: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closing.reverse()) await close();
});

let page: Page;
beforeAll(async () => {
  const gateway = await startGateway();
  closing.push(() => gateway.dispose());
  const { endpoint, key } = gateway.emulator;
  const server = await serveSync(gateway);
  closing.push(() => server.close());
  const admin = new CosmosClient({ endpoint, key });
  closing.push(() => admin.dispose());
  const site = await startSite(
    {
      contract: pageFile('contract.ts'),
      'database-worker': pageFile('database-worker.ts'),
      'file-worker': pageFile('file-worker.ts'),
    },
    { gateway: server.url, cosmos: endpoint },
  );
  closing.push(() => site.close());
  const browser = await launchBrowser();
  closing.push(() => browser.close());
  page = await browser.newPage();
  page.on('pageerror', (error) => console.error(error));
  await page.exposeFunction('mint', (user: string) => mintOwn(admin, endpoint, user, PermissionMode.All));
  await page.exposeFunction('items', (user: string) => gateway.items(`user:${user}`));
  await page.exposeFunction('remove', async (user: string, id: string) => {
    await gateway.container.item(id, `user:${user}`).delete();
  });
  await page.goto(`${site.url}/contract`);
});

/** The names alone: nothing of these is called here. */
const nothing = (): never => {
  throw new Error('This runs in the page.');
};
const elsewhere: SyncWorld = {
  url: nothing,
  newUser: nothing,
  database: nothing,
  mint: nothing,
  items: nothing,
  remove: nothing,
};
const names = [...collect(() => storeContract(nothing)), ...collect(() => syncContract(elsewhere))];

it.each(names.map(({ name }) => name))('%s', async (name) => {
  await page.evaluate((which) => window.runCase(which), name);
});
