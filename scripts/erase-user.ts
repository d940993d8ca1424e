/**
 * `npm run ts -- scripts/erase-user.ts <user id>`: erases a user. COSMOS_ENDPOINT names the account, COSMOS_DATABASE the
 * database, `tidemark` where it is not set. COSMOS_KEY opens it; without, the one who is logged in (`az login`) does, who
 * has to have the role Cosmos DB Built-in Data Contributor.
 */
import { DefaultAzureCredential } from '@azure/identity';
import { openCosmos } from '../shared/cosmos/client.ts';
import { eraseUser } from '../shared/cosmos/erase-user.ts';

const [userId] = process.argv.slice(2);
const { COSMOS_ENDPOINT, COSMOS_KEY, COSMOS_DATABASE = 'tidemark' } = process.env;
if (!userId || !COSMOS_ENDPOINT) {
  console.error('Usage: COSMOS_ENDPOINT=… [COSMOS_KEY=…] npm run ts -- scripts/erase-user.ts <user id>');
  process.exit(2);
}
const access = COSMOS_KEY ? { key: COSMOS_KEY } : { identity: new DefaultAzureCredential() };
const client = openCosmos(COSMOS_ENDPOINT, access);
const { documents, activity, users } = await eraseUser(
  client.database(COSMOS_DATABASE),
  userId,
  Boolean(COSMOS_KEY),
);
const names = users === null ? 'not looked at, which takes a key' : users.join(', ') || 'none';
console.log(
  `Erased ${userId}: ${documents} documents, ${activity} records of activity; Cosmos DB users: ${names}.`,
);
client.dispose();
