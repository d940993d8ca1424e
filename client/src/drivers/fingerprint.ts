import { statSync } from 'node:fs';

/** A copied or restored file is another inode. */
export function fingerprintOf(path: string): string | null {
  if (path === ':memory:') return null;
  try {
    const { ino, birthtimeMs } = statSync(path);
    return `${ino}.${Math.round(birthtimeMs)}`;
  } catch {
    return null;
  }
}
