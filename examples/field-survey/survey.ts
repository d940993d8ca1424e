/**
 * A surveyor's notebook: patients of one clinic, on a device that is offline most of the day. See README.md.
 *
 * In an app of your own, import from '@tidemark/client' and '@tidemark/client/node'.
 */
import { nodeSqlite } from '../../client/src/drivers/node-sqlite.ts';
import { collection, createClient, SampleTokenProvider } from '../../client/src/index.ts';

interface Patient {
  id: string;
  name: string;
  weight?: number;
  notes?: string;
  vaccinations?: string[];
  /** The health office's: a surveyor reads it, and cannot change it. */
  status?: string;
}

const {
  SURVEYOR = 'ana',
  FACILITY = '12',
  TIDEMARK_URL: url = 'http://127.0.0.1:7071/api',
  TIDEMARK_DEV_ISSUER: issuer = 'http://127.0.0.1:7072',
} = process.env;
const { DATABASE = `${SURVEYOR}.db` } = process.env;

const client = createClient({
  url,
  // Which facilities a surveyor has, the token says.
  token: new SampleTokenProvider({ issuer, user: SURVEYOR, claims: { facilities: [FACILITY] } }),
  userId: SURVEYOR,
  database: nodeSqlite(DATABASE),
  collections: { records: collection<Patient>({ scope: 'facility', indexes: ['name'] }) },
});
const records = client.store('records', { scope: `facility:${FACILITY}` });

const COMMANDS: Readonly<Record<string, (...words: string[]) => Promise<void>>> = {
  /** add p1 "Maria Sol" */
  add: (id = '', name = '') => records.upsert({ id, name }),

  /** set p1 weight=61 vaccinations=polio,measles: sends these members only, and keeps what others write in the rest. */
  set: async (id = '', ...members) => {
    await records.patch(id, Object.fromEntries(members.map(toMember)));
  },

  list: async () => {
    for (const { id, name, ...rest } of await records.query({ orderBy: 'name' })) {
      console.log(`${id}  ${name}  ${JSON.stringify(rest)}`);
    }
    const { pending, lastSuccess } = await client.status();
    console.log(`${pending} to send, last sync ${lastSuccess ?? 'never'}`);
  },

  sync: async () => {
    client.on('conflict', ({ address, mine, theirs }) => {
      console.log(`${address.documentId} was changed by others, too:`);
      console.log(`  yours   ${JSON.stringify(mine)}\n  stored  ${JSON.stringify(theirs)}`);
    });
    client.on('rejected', ({ address, error }) =>
      console.log(`${address.documentId} was refused: ${error.message}`),
    );
    const { outcome, pushed, pulled, error } = await client.sync();
    console.log(
      `${outcome}: ${pushed} sent, ${pulled} fetched${error === null ? '' : ` (${error.message})`}`,
    );
  },
};

/** `weight=61` is a number, `vaccinations=polio,measles` a list, anything else a text. */
function toMember(word: string): [string, unknown] {
  const [name = '', value = ''] = word.split(/=(.*)/s);
  if (name === 'weight') return [name, Number(value)];
  return [name, name === 'vaccinations' ? value.split(',') : value];
}

const [name = 'list', ...words] = process.argv.slice(2);
const command = COMMANDS[name];
if (command === undefined) throw new Error(`Commands: ${Object.keys(COMMANDS).join(', ')}`);
try {
  await command(...words);
} finally {
  await client.close();
}
