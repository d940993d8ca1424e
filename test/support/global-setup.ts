import { buildApp } from '../../scripts/build-app.ts';

/** Tests run the app as it ships: it is built once, from what is in the working directory. */
// eslint-disable-next-line no-restricted-syntax -- Jest calls the default export.
export default async function setup(): Promise<void> {
  await buildApp(process.cwd());
}
