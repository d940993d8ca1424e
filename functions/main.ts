import { app } from '@azure/functions';
import { appServices } from './services.ts';
import './get-cosmos-token.ts';
import './sync.ts';

// Wrong settings are told when the app starts, all at once, and not by the first user's request.
app.hook.appStart(() => {
  appServices();
});
