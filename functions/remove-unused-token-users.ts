import { app } from '@azure/functions';
import { appServices } from './services.ts';

/** Removes Cosmos DB users that have had no token for a long time, a few at a time. */
app.timer('RemoveUnusedTokenUsers', {
  schedule: '0 17 * * * *', // 17 minutes past every hour
  handler: async (_timer, context) => {
    const done = await appServices().removeUnusedTokenUsers();
    if (done === null) return;
    const { seen, removed, finished } = done;
    context.log(
      `Looked at ${seen} token users, removed ${removed}; ${finished ? 'the list is through' : 'more next time'}.`,
    );
  },
});
