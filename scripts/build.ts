import { buildApp } from './build-app.ts';

const size = await buildApp(process.cwd());
console.log(`dist/app: main.cjs ${(size / 1e6).toFixed(2)} MB`);
