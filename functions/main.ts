import { app } from '@azure/functions';
import { appServices } from './services.ts';
import './get-cosmos-token.ts';
import './health.ts';
import './open-api.ts';
import './sync.ts';
import './unmatched.ts';

// Wrong settings are told when the app starts, all at once, and not by the first user's request.
app.hook.appStart(() => {
  appServices();
});
