import { app } from '@azure/functions';
import { SETTINGS } from '../shared/config.ts';
import { findUnknownSettings } from '../shared/settings/read.ts';
import { appServices } from './services.ts';
import './compare-checksums.ts';
import './fetch-buckets.ts';
import './get-cosmos-token.ts';
import './health.ts';
import './list-conflicts.ts';
import './list-deletions.ts';
import './list-operations.ts';
import './manage-allow.ts';
import './manage-audit.ts';
import './manage-denied.ts';
import './manage-deny.ts';
import './open-api.ts';
import './ready.ts';
import './remove-unused-token-users.ts';
import './restore-conflict.ts';
import './sync.ts';
import './unmatched.ts';

// Wrong settings are told when the app starts, all at once, and not by the first user's request.
app.hook.appStart(() => {
  for (const warning of findUnknownSettings(SETTINGS, process.env)) console.warn(warning);
  appServices();
});

// What waits to be written is written before the process ends: the host gives it a few seconds.
app.hook.appTerminate(() => appServices().flush());
