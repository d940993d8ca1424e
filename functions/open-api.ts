import { describeApi } from '../shared/protocol/openapi.ts';
import { serve } from './serve.ts';

let description: ReturnType<typeof describeApi> | undefined;

/** Answers with the description of this API, OpenAPI 3.1. */
serve('OpenApi', () => Promise.resolve({ jsonBody: (description ??= describeApi()), cache: 'public' }));
