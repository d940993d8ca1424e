import { createServices } from '../../shared/services.ts';
import { identityOf } from '../support/gateway.ts';

const alice = identityOf('alice');

describe('A deployment without a token service', () => {
  const services = createServices(
    {
      COSMOS_ENDPOINT: 'https://account.documents.azure.com/',
      TOKEN_SERVICE_ENABLED: 'false',
      AUTH_ISSUER: 'https://issuer.example',
      AUTH_AUDIENCE: 'api://tidemark',
    },
    '{ "collections": { "items": {} } }',
  );

  it('starts without a master key, and says so to who asks for a token', async () => {
    const ask = { scopes: null, mode: null, lifetime: null };
    await expect(services.tokensFor(alice, ask, () => undefined)).rejects.toMatchObject({
      code: 'token_service_disabled',
    });
    expect(await services.removeUnusedTokenUsers()).toBeNull();
  });
});
