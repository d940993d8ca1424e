import type { Identity } from '../../shared/auth/identity.ts';
import { createServices } from '../../shared/services.ts';

const alice: Identity = {
  userId: 'alice',
  claimedId: 'alice',
  ownScope: 'user:alice',
  scopes: ['user:alice'],
  roles: { general: 'writer', kinds: new Map() },
};

describe('A deployment without a token service', () => {
  const services = createServices(
    {
      COSMOS_ENDPOINT: 'https://account.documents.azure.com/',
      TOKEN_SERVICE: 'off',
      AUTH_ISSUER: 'https://issuer.example',
      AUTH_AUDIENCE: 'api://tidemark',
    },
    '{ "collections": { "items": {} } }',
  );

  it('starts without a master key, and says so to who asks for a token', async () => {
    await expect(services.tokenFor(alice)).rejects.toMatchObject({ code: 'token_service_off' });
  });
});
