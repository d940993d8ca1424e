import { Type, type Static } from 'typebox';

/** What `GET /api/health` answers: the process runs. It says nothing else, because anybody may ask. */
export const Health = Type.Object({ status: Type.Literal('ok') });
export type Health = Static<typeof Health>;
