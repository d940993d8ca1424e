import type { Identity } from '../../shared/auth/identity.ts';
import { change, identityOf, request, startGateway, type Gateway } from '../support/gateway.ts';

/* What the gateway keeps for itself in a scope, ledgers and conflict records, is out of the reach of any request. */

let gateway: Gateway;
beforeAll(async () => {
  gateway = await startGateway();
});
afterAll(() => gateway.dispose());

const systemItems = async (scope: string) =>
  (await gateway.items(scope)).filter(({ id }) => String(id).startsWith('~'));

describe("A ledger of a shared scope is its user's own", () => {
  const SCOPE = 'facility:1';
  const [alice, bob] = [identityOf('alice', [SCOPE]), identityOf('bob', [SCOPE])];
  const visit = (seq: number, fields: object = {}) =>
    change(`visit-${seq}`, seq, { scope: SCOPE, collection: 'visits', ...fields });
  const send = (who: Identity, changes: readonly object[], claim: { seq: number; changeId: string } | null) =>
    gateway.sync(who, { ...request('phone', changes), streams: { [SCOPE]: claim } });

  it('another user of the same device name neither moves it nor reads from it', async () => {
    await send(alice, [visit(1), visit(2)], null);
    const before = await systemItems(SCOPE);
    expect(before).toHaveLength(1);

    // Bob says that he is her phone, at the very place where it stands, and behind it.
    const claimed = await send(bob, [visit(3, { baseVersion: null })], { seq: 2, changeId: 'c2' });
    // What she has sent is new for him: he hears nothing of what became of it.
    const repeated = await send(bob, [visit(2, { changeId: 'c2b', data: { of: 'bob' } })], null);
    for (const { results } of [claimed, repeated]) {
      expect(results[0]?.status).not.toBe('duplicate');
    }
    const after = await systemItems(SCOPE);
    expect(after).toEqual(expect.arrayContaining(before));

    const next = await send(alice, [visit(4)], { seq: 2, changeId: 'c2' });
    expect(next.results).toMatchObject([{ status: 'applied' }]);
    const again = await send(alice, [visit(4)], { seq: 2, changeId: 'c2' });
    expect(again.results).toMatchObject([{ status: 'duplicate', outcome: 'applied' }]);
  });
});

describe('A change reaches documents only', () => {
  it.each(['~ledger:x', '~conflict:c1', '~deletion:c1', '~'])(
    'a document that is called %j is a document like any other',
    async (documentId) => {
      const seed = `id${documentId.length}${documentId.at(1) ?? ''}`;
      const before = await systemItems('user:alice');
      const { results } = await gateway.sync('alice', {
        ...request('writer', [change(documentId, 1, { changeId: seed })]),
        deviceId: `d-${seed}`,
      });
      expect(results).toMatchObject([{ status: 'applied' }]);
      const ids = (await gateway.items()).map(({ id }) => id);
      expect(ids).toContain(`items:${documentId}`);
      expect(ids).not.toContain(documentId);
      expect(await systemItems('user:alice')).toEqual(expect.arrayContaining(before));
      // The system's own items are in no delta; this one is.
      const { delta } = await gateway.sync('alice', request('reader'));
      expect(delta.documents.map((document) => document.documentId)).toContain(documentId);
    },
  );

  it.each(['~ledger', '~conflict', '', '~', 'items:1', '~ledger:x.phone', '__proto__'])(
    'a collection called %j is none',
    async (collection) => {
      const before = await gateway.items();
      const body = request('other', [{ ...change('x', 1), collection, seq: undefined, changeId: undefined }]);
      const { results } = await gateway.sync('alice', { ...body, streams: {} });
      expect(results).toMatchObject([{ status: 'rejected' }]);
      expect(await gateway.items()).toEqual(before);
    },
  );
});
