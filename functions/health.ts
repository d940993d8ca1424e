import type { Health } from '../shared/protocol/health.ts';
import { serve } from './serve.ts';

/** Says that the process is up. It asks nothing else, so that a probe may call it every second. */
serve('Health', () => Promise.resolve({ jsonBody: { status: 'ok' } satisfies Health }));
