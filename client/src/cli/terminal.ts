import { styleText } from 'node:util';
import type { Io, Output } from './io.ts';

/** Milliseconds between two pictures of a bar, and between two lines about progress in a pipe. */
const FRAME = 80;
const LINE = 1_000;

export interface TerminalOptions {
  /** Results are JSON: nothing else goes to stdout. */
  readonly json: boolean;
  readonly quiet: boolean;
}

/** Done so far; `total` null where nobody knows. */
export interface Progress {
  readonly label: string;
  readonly done: number;
  readonly total: number | null;
  /** Said behind the bar. */
  readonly note?: string;
}

/**
 * What people read. Results go to stdout, progress and remarks to stderr: bars on a terminal, a line a second in a pipe.
 * Tokens are left out wherever they stand, and so is what steers a terminal.
 */
export class Terminal {
  readonly #io: Io;
  readonly #options: TerminalOptions;
  readonly #secrets = new Set<string>();
  #drawn: number;
  #barShown = false;

  constructor(io: Io, options: TerminalOptions) {
    this.#io = io;
    this.#options = options;
    this.#drawn = io.now();
  }

  /** From now on this text is not shown. */
  hide(secret: string): void {
    this.#secrets.add(secret);
  }

  /** A line of the result, for people. */
  say(line = ''): void {
    if (this.#options.json) return;
    this.#clearBar();
    this.#io.stdout.write(`${this.clean(line)}\n`);
  }

  /** A line of the result, for programs. */
  sayJson(value: unknown): void {
    this.#clearBar();
    this.#io.stdout.write(`${this.#redact(JSON.stringify(value))}\n`);
  }

  /** A remark that is no result. */
  remark(line: string): void {
    this.#clearBar();
    this.#io.stderr.write(`${this.clean(line)}\n`);
  }

  heading(text: string): string {
    return this.#style('bold', text);
  }

  good(text: string): string {
    return this.#style('green', text);
  }

  bad(text: string): string {
    return this.#style('red', text);
  }

  faint(text: string): string {
    return this.#style('dim', text);
  }

  /** Columns as wide as their widest cell; the last one may be cut. */
  table(rows: readonly (readonly string[])[]): void {
    const clean = rows.map((row) => row.map((cell) => this.clean(cell).replaceAll('\n', ' ')));
    const width = clean.reduce<number[]>(
      (widths, row) => row.map((cell, column) => Math.max(widths[column] ?? 0, cell.length)),
      [],
    );
    for (const row of clean) {
      const line = row.map((cell, column) =>
        column === row.length - 1 ? cell : cell.padEnd(width[column] ?? 0),
      );
      this.say(cut(line.join('  ').trimEnd(), this.#io.stdout));
    }
  }

  progress(progress: Progress): void {
    const { json, quiet } = this.#options;
    const { stderr } = this.#io;
    const isLive = stderr.isTTY === true;
    if (quiet || (json && !isLive)) return;
    const now = this.#io.now();
    if (now - this.#drawn < (isLive ? FRAME : LINE)) return;
    this.#drawn = now;
    if (isLive) {
      stderr.write(`\r${renderBar(progress, widthOf(stderr))}\x1b[K`);
      this.#barShown = true;
    } else {
      stderr.write(`${renderLine(progress)}\n`);
    }
  }

  /** Removes the bar: what comes next stands in its place. */
  #clearBar(): void {
    if (this.#barShown) this.#io.stderr.write('\r\x1b[K');
    this.#barShown = false;
  }

  endProgress(): void {
    this.#clearBar();
  }

  clean(text: string): string {
    return this.#redact(withoutControls(text));
  }

  #redact(text: string): string {
    let shown = text;
    for (const secret of this.#secrets) shown = shown.replaceAll(secret, '[token]');
    return shown;
  }

  #style(format: 'bold' | 'green' | 'red' | 'dim', text: string): string {
    const { stdout, env } = this.#io;
    const isWanted = stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb';
    return isWanted ? styleText(format, text, { validateStream: false }) : text;
  }
}

/** Keeps the colours of this program, and nothing else that a terminal obeys or that turns the reading direction. */
export const withoutControls = (text: string): string =>
  // eslint-disable-next-line no-control-regex -- control characters are what this is about
  text.replace(/\x1b\[\d*m|[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, (found) =>
    found.length > 1 ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );

const cut = (line: string, output: Output): string =>
  output.isTTY === true && line.length > widthOf(output) ? `${line.slice(0, widthOf(output) - 1)}…` : line;

/** A terminal that does not know its width says 0. */
const widthOf = ({ columns = 0 }: Output): number => (columns > 0 ? columns : 80);

const BAR = 24;

/** `Sending  ████████░░░░  990 of 10,000 (9 %), 3 requests`, as wide as the terminal at most. */
export function renderBar({ label, done, total, note }: Progress, columns: number): string {
  const share = total === null || total === 0 ? null : Math.min(1, done / total);
  const filled = share === null ? 0 : Math.round(share * BAR);
  const bar = share === null ? '' : `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}  `;
  const percent = share === null ? '' : ` (${Math.floor(share * 100)} %)`;
  const text = `${label}  ${bar}${amount(done, total)}${percent}${note === undefined ? '' : `, ${note}`}`;
  return text.slice(0, Math.max(1, columns - 1));
}

export const renderLine = ({ label, done, total, note }: Progress): string =>
  `${label}: ${amount(done, total)}${note === undefined ? '' : `, ${note}`}`;

const amount = (done: number, total: number | null): string =>
  total === null ? count(done) : `${count(done)} of ${count(Math.max(done, total))}`;

/** 12,345 */
export const count = (number: number): string => number.toLocaleString('en-US');

/** `1 edit`, `2 edits` */
export const plural = (number: number, noun: string): string =>
  `${count(number)} ${noun}${number === 1 ? '' : 's'}`;

/** `950 ms`, `3.4 s`, `2 min` */
export function duration(milliseconds: number): string {
  if (milliseconds < 1_000) return `${Math.round(milliseconds)} ms`;
  if (milliseconds < 120_000) return `${(milliseconds / 1_000).toFixed(1)} s`;
  if (milliseconds < 7_200_000) return `${Math.round(milliseconds / 60_000)} min`;
  if (milliseconds < 172_800_000) return `${Math.round(milliseconds / 3_600_000)} h`;
  return `${Math.round(milliseconds / 86_400_000)} days`;
}
