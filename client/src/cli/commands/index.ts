import type { Command } from '../command.ts';
import { conflicts } from './conflicts.ts';
import { doctor } from './doctor.ts';
import { exportFile } from './export.ts';
import { importFile } from './import.ts';
import { pending } from './pending.ts';
import { rejected } from './rejected.ts';
import { status } from './status.ts';
import { sync } from './sync.ts';
import { watch } from './watch.ts';

/** Every command, in the order of the help. */
export const COMMANDS: Readonly<Record<string, Command>> = {
  sync,
  watch,
  status,
  pending,
  conflicts,
  rejected,
  import: importFile,
  export: exportFile,
  doctor,
};
