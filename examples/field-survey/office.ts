/**
 * The health office: sets the status of a patient where the documents are. It has rights on the account that no surveyor
 * has; in Azure that is a managed identity, against the local stack the key that `npm start` prints.
 *
 *   npm run ts -- examples/field-survey/office.ts <patient> <status>
 */
import { CosmosClient } from '@azure/cosmos';

const {
  COSMOS_ENDPOINT: endpoint = 'http://127.0.0.1:8081/',
  COSMOS_KEY: key = '',
  FACILITY = '12',
} = process.env;
const [patient = '', status = ''] = process.argv.slice(2);

const client = new CosmosClient({ endpoint, key });
const item = client
  .database('tidemark')
  .container('documents')
  .item(`records:${patient}`, `facility:${FACILITY}`);
// The stamp moves on with the content: later edits are measured by it.
await item.patch([
  { op: 'set', path: '/data/status', value: status },
  { op: 'set', path: '/lastModified', value: new Date().toISOString() },
]);
console.log(`${patient} is ${status}.`);
client.dispose();
