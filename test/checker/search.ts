import { createHistory, type History, type Palette } from './history.ts';
import { Violation } from './world.ts';

/** Plays one history on fresh ground. */
export type Play = (history: History) => Promise<void>;

export interface Failure {
  readonly history: History;
  readonly violation: Violation;
  /** How many histories were played until this one. */
  readonly after: number;
}

/** Null where the history holds. */
export async function violationOf(play: Play, history: History): Promise<Violation | null> {
  try {
    await play(history);
    return null;
  } catch (error) {
    if (error instanceof Violation) return error;
    throw error;
  }
}

/** Plays histories from a seed on, one seed after the other, until one fails. */
export async function search(
  play: Play,
  palette: Palette,
  seeds: { readonly from: number; readonly count: number },
): Promise<Failure | null> {
  for (let index = 0; index < seeds.count; index += 1) {
    const history = createHistory(seeds.from + index, palette);
    const violation = await violationOf(play, history);
    if (violation !== null) return { history, violation, after: index + 1 };
  }
  return null;
}

/**
 * Makes a failing history short: leaves out ever smaller stretches of its steps, then devices' peculiarities, as long as
 * the same property fails.
 */
export async function shrink(play: Play, failure: Failure): Promise<Failure> {
  let best = failure;
  const attempt = async (history: History): Promise<boolean> => {
    const violation = await violationOf(play, history).catch(() => null);
    if (violation?.property !== best.violation.property) return false;
    best = { ...best, history, violation };
    return true;
  };
  for (let changed = true; changed;) {
    changed = false;
    for (let size = Math.ceil(best.history.steps.length / 2); size >= 1; size = Math.floor(size / 2)) {
      for (let from = 0; from < best.history.steps.length;) {
        const { steps } = best.history;
        const shorter = { ...best.history, steps: [...steps.slice(0, from), ...steps.slice(from + size)] };
        if (await attempt(shorter)) changed = true;
        else from += size;
      }
    }
    for (const simpler of simplerSetups(best.history)) if (await attempt(simpler)) changed = true;
  }
  return best;
}

/** The history with one thing less to think about. Only such that differ. */
function simplerSetups(history: History): History[] {
  const { setup } = history;
  const withSetup = (change: Partial<History['setup']>): History => ({
    ...history,
    setup: { ...setup, ...change },
  });
  const lastUnused =
    setup.devices.length > 1 && !history.steps.some((step) => namesDevice(step, setup.devices.length));
  return [
    ...(setup.outliveRetention ? [withSetup({ outliveRetention: false })] : []),
    ...(setup.deliverLate ? [withSetup({ deliverLate: false })] : []),
    ...(lastUnused ? [withSetup({ devices: setup.devices.slice(0, -1) })] : []),
    ...setup.devices.flatMap((device, index) => {
      const plain = { ...device, skew: 0, limit: 1000, batchSize: 1000, followsAll: true, groups: false };
      if (JSON.stringify(plain) === JSON.stringify(device)) return [];
      return [withSetup({ devices: setup.devices.with(index, plain) })];
    }),
  ];
}

const namesDevice = (step: History['steps'][number], count: number): boolean =>
  'device' in step ? step.device === count - 1 : step.kind === 'together';
