import { DATABASE } from '../../local/provision.ts';
import { DOCUMENTS } from '../../shared/cosmos/containers.ts';
import { openCosmos } from '../../shared/cosmos/client.ts';
import { createDocumentStore } from '../../shared/cosmos/document-store.ts';
import { RequestError, Unavailable } from '../../shared/errors.ts';
import type { Answered, Asked } from './emulator-ground.ts';
import { syncHere } from './grounds.ts';

/**
 * A gateway in a process of its own, with its own connection to Cosmos DB and its own clock. It is asked by messages
 * of its parent.
 */
const skew = Number(process.argv[2]);
const { COSMOS_ENDPOINT: endpoint = '', COSMOS_KEY: key = '' } = process.env;
const client = openCosmos(endpoint, { key });
const store = createDocumentStore(() => Promise.resolve(client.database(DATABASE).container(DOCUMENTS)));

process.on('message', (message) => {
  const { number, ...asked } = message as Asked;
  void syncHere({ ...asked, store, now: () => Date.now() + skew }).then(
    (answer) => reply({ number, answer }),
    (error: unknown) => {
      if (error instanceof Unavailable) reply({ number, unavailable: error.message });
      else if (error instanceof RequestError) reply({ number, refused: error.code });
      else reply({ number, failed: String(error) });
    },
  );
});

const reply = (answered: Answered): void => void process.send?.(answered);

process.send?.('ready');
