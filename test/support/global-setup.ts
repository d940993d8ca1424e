import { buildApp } from '../../scripts/build-app.ts';
import { bundlePackages } from './packages.ts';

/** Tests run the app as it ships: it is built once, from what is in the working directory. So are the packages it uses. */
// eslint-disable-next-line no-restricted-syntax -- Jest calls the default export.
export default async function setup(): Promise<void> {
  await bundlePackages(process.cwd());
  await buildApp(process.cwd());
}
