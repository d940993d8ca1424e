import type { Exit } from './exit-codes.ts';
import type { Io } from './io.ts';
import type { OptionName, Typed } from './options.ts';
import type { Settings } from './settings.ts';
import type { Terminal } from './terminal.ts';

/** What a command is given. */
export interface Context {
  readonly typed: Typed;
  readonly settings: Settings;
  readonly io: Io;
  readonly terminal: Terminal;
  readonly json: boolean;
}

/** How it ended. `result` is what `--json` shows: its members only ever get more. */
export interface Outcome {
  readonly exit: Exit;
  readonly result?: object;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface Command {
  /** What stands behind the name: `<file>`. */
  readonly synopsis: string;
  readonly summary: string;
  /** More, for `--help`. */
  readonly details?: string;
  readonly options: readonly OptionName[];
  run(context: Context): Promise<Outcome>;
}
