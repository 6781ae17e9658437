import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { changedAt, modifiedAt } from './pod-listing.ts';
import type { Fetched } from './records.ts';

/** Clocks tick in whole seconds, and a job is noted a moment after it began. */
const SLACK_SECONDS = 5;
/** Checkpoints of one row are never written so close together that their order could be an accident of copying. */
const GAP_SECONDS = 60;
/** So long a folder may be copied, file by file, without its times. */
const COPY_SECONDS = 900;
const STATE_BYTES = 16 * 1024 * 1024;

const OLD =
  'it was there before the job began and has not been touched since, so this run did not make it';
const outOfRow = (name: number): string =>
  `its name says ${name}, and it is older than one of the same row with a lower number, so it may be of an earlier run`;

const WEIGHTS = /\.(?:pt|pth|ckpt|bin|safetensors|h5|hdf5|keras|npz|gguf|onnx|pkl|msgpack)$/i;
/** "epoch_3", "step=400", "checkpoint-500": a number that only goes up in a run. */
const COUNTED =
  /(?<![a-z])(?:epoch|step|iter|iteration|checkpoint|ckpt)s?[-_=. ]?0*(\d{1,12})(?!\d)/gi;

interface Stamped {
  readonly path: string;
  readonly stamp: string;
}
interface Turn {
  readonly path: string;
  readonly numbers: readonly number[];
  readonly time: number;
}

/**
 * Files of a run that are older than they claim, each with why, in our own words. `sinceSeconds`: when the job began, 0 where nobody
 * knows; like all times here by the clock of the pod, whatever that says. A clock that was set back since proves nothing. Pure.
 */
export function staleFiles(
  files: readonly Stamped[],
  { sinceSeconds, nowSeconds }: { readonly sinceSeconds: number; readonly nowSeconds: number },
): ReadonlyMap<string, string> {
  const stale = new Map<string, string>();
  for (const [name, number] of outOfTurn(files)) stale.set(name, outOfRow(number));
  if (sinceSeconds > 0 && nowSeconds >= sinceSeconds)
    // By the time that no program sets: what the job copied with its old times it has made all the same.
    for (const { path: name, stamp } of files)
      if (changedAt(stamp) < sinceSeconds - SLACK_SECONDS) stale.set(name, OLD);
  return stale;
}

/** Checkpoints whose number is higher than that of one that was written after them, with that number. */
function outOfTurn(files: readonly Stamped[]): ReadonlyMap<string, number> {
  const rows = new Map<string, Turn[]>();
  for (const { path: name, stamp } of files) {
    const numbers = [...name.matchAll(COUNTED)].map((match) => Number(match[1]));
    const time = modifiedAt(stamp);
    if (!WEIGHTS.test(name) || numbers.length === 0 || !Number.isFinite(time)) continue;
    const key = name.replaceAll(COUNTED, '#');
    rows.set(key, [...(rows.get(key) ?? []), { path: name, numbers, time }]);
  }
  const found = new Map<string, number>();
  for (const row of rows.values()) {
    if (row.length < 2 || isCopiedByName(row)) continue;
    const rising = row.toSorted((a, b) => compare(a.numbers, b.numbers));
    let newest = -Infinity;
    for (const { path: name, numbers, time } of rising) {
      if (time < newest - GAP_SECONDS) found.set(name, numbers.at(-1) ?? 0);
      newest = Math.max(newest, time);
    }
  }
  return found;
}

/** A folder that was copied without its times: they rise as the names do, all within one copy. */
function isCopiedByName(row: readonly Turn[]): boolean {
  const times = row.map(({ time }) => time);
  if (Math.max(...times) - Math.min(...times) > COPY_SECONDS) return false;
  const byName = row.toSorted((a, b) => (a.path < b.path ? -1 : 1));
  return byName.every(({ time }, index) => time >= (byName[index - 1]?.time ?? -Infinity));
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, index) => value !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

const stateSchema = z.object({ global_step: z.number() });

/** What a checkpoint of Transformers says of itself beside the name of its folder; `undefined`: nothing wrong, or nothing to read. */
async function wrongStep({ path: name, localPath, bytes }: Fetched): Promise<string | undefined> {
  const folder = /(?:^|\/)checkpoint-(\d{1,12})\/trainer_state\.json$/.exec(name)?.[1];
  if (folder === undefined || bytes > STATE_BYTES) return undefined;
  const text = await readFile(localPath, 'utf8').catch(() => '');
  const step = stateSchema.safeParse(parsed(text)).data?.global_step;
  return step === undefined || step === Number(folder)
    ? undefined
    : `its folder says step ${Number(folder)}, and it says step ${step} itself`;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The verdicts on files that came home, with what their age says against them: such a file is whole, but is not called `loaded`,
 * since that is what a result of this run is called. What is broken stays called so. `stale`: why, by path.
 */
export async function withFreshness(
  files: readonly Fetched[],
  seen: readonly Stamped[],
  times: { readonly sinceSeconds: number; readonly nowSeconds: number },
): Promise<{ readonly files: readonly Fetched[]; readonly stale: ReadonlyMap<string, string> }> {
  const stale = new Map(staleFiles(seen, times));
  for (const file of files) {
    const wrong = stale.has(file.path) ? undefined : await wrongStep(file);
    if (wrong !== undefined) stale.set(file.path, wrong);
  }
  return {
    stale,
    files: files.map((file) => {
      const problem = stale.get(file.path);
      if (problem === undefined || file.problem !== undefined) return file;
      return { ...file, problem, proof: file.proof === 'loaded' ? 'structure' : file.proof };
    }),
  };
}
