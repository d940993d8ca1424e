/**
 * `npm run ts -- scripts/erase-user.ts <user id>`: erases a user. COSMOS_ENDPOINT and COSMOS_KEY name the account;
 * COSMOS_DATABASE the database, `tidemark` where it is not set.
 */
import { openCosmos } from '../shared/cosmos/client.ts';
import { eraseUser } from '../shared/cosmos/erase-user.ts';

const [userId] = process.argv.slice(2);
const { COSMOS_ENDPOINT, COSMOS_KEY, COSMOS_DATABASE = 'tidemark' } = process.env;
if (!userId || !COSMOS_ENDPOINT || !COSMOS_KEY) {
  console.error('Usage: COSMOS_ENDPOINT=… COSMOS_KEY=… npm run ts -- scripts/erase-user.ts <user id>');
  process.exit(2);
}
const client = openCosmos(COSMOS_ENDPOINT, { key: COSMOS_KEY });
const names = await eraseUser(client.database(COSMOS_DATABASE), userId);
console.log(`Erased ${userId}: both containers, Cosmos DB users: ${names.join(', ') || 'none'}.`);
client.dispose();
