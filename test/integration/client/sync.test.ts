import { startStack, type Stack } from '../../../local/stack.ts';
import { Devices, synced } from '../../support/client.ts';

let stack: Stack;
let devices: Devices;
beforeAll(async () => {
  stack = await startStack({ quiet: true });
  devices = new Devices(stack);
});
afterAll(async () => {
  await devices.dispose();
  await stack.dispose();
});

it('two devices of a user come to hold the same', async () => {
  const phone = await devices.open('alice');
  const tablet = await devices.open('alice');
  await phone.store('items').upsert({ id: '1', title: 'Hello, tide' });
  expect(await synced(phone)).toMatchObject({ pushed: 1, rejected: 0, conflicts: 0 });
  expect(await synced(tablet)).toMatchObject({ pulled: 1 });
  expect(await tablet.store('items').query()).toEqual([{ id: '1', title: 'Hello, tide' }]);
  await tablet.store('items').delete('1');
  await synced(tablet);
  await synced(phone);
  expect(await phone.store('items').get('1')).toBeNull();
  expect(await phone.pending()).toEqual([]);
});
