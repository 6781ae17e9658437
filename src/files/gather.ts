import { lstatSync } from 'node:fs';
import path from 'node:path';
import type { Clock } from '../core/call.ts';
import { count } from '../core/count.ts';
import { isAppError, RemoteError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { hashLocalFile, quarantine, removeFolder } from './land.ts';
import {
  type Wanted as Asked,
  hashOnPod,
  lookFor,
  neverSettled,
  type Sighting,
} from './manifest.ts';
import { partialOf, refuseFullHere } from './partial.ts';
import { type Arrived, removePartial } from './partial-file.ts';
import { missingAmong } from './patterns.ts';
import { again, openPod, type Pod } from './pod.ts';
import type { RemoteEntry } from './pod-listing.ts';
import { sourceOf } from './pod-source.ts';
import { pullFiles } from './pull.ts';
import type { Wanted } from './pull-work.ts';
import { amountOf } from './sync-plan.ts';

/** A file whose content is known: the pod hashed it between two looks that saw no change. */
export interface Settled {
  readonly path: string;
  readonly bytes: number;
  readonly stamp: string;
  readonly sha256: string;
  readonly source?: string;
  /** Absent: it stands in its place already. */
  readonly arrived?: Arrived;
}
export interface Gathered extends Omit<Sighting, 'files'> {
  readonly files: readonly Settled[];
  /** Matched, but changing while they are read: half of a file being written is worth nothing (AR-08). */
  readonly unsettled: readonly string[];
  /** Were there when the fetch began, and are neither here nor there now. */
  readonly vanished: readonly string[];
}
export interface GatherOptions {
  readonly clock: Clock;
  readonly wanted: Asked;
  readonly destination: string;
  readonly partialFolder: string;
  /** Throws when these may not land. Asked before anything is pulled. */
  readonly mayLand: (files: readonly RemoteEntry[]) => Promise<void>;
}

/** Where a link broke, connecting again may take a while. */
const UNREACHABLE = ['ssh_unreachable'];

/**
 * Brings everything of `seen` that is not `known` to the partial folder, or finds it in its place. Both ends hash what goes
 * by, once; then the pod is looked at again, and what changed meanwhile is taken once more. Nothing lands here.
 */
export async function gather(
  pod: Pod,
  seen: Sighting,
  known: ReadonlyMap<string, Settled>,
  options: GatherOptions,
): Promise<Gathered> {
  const { clock, wanted } = options;
  const settled = new Map(known);
  let before = seen;
  for (let round = 0; ; round += 1) {
    const todo = before.files.filter((file) => {
      const done = settled.get(file.path);
      return done?.stamp !== file.stamp || done.bytes !== file.bytes;
    });
    for (const file of todo) settled.delete(file.path);
    const read = await readOnce(pod, todo, round > 0, options);
    const after = await again(clock, pod.call, UNREACHABLE, async () => lookFor(pod, wanted));
    const now = new Map(after.files.map((file) => [file.path, file]));
    const unsure: string[] = [];
    const altered: (Arrived & { readonly path: string })[] = [];
    const short: string[] = [];
    for (const file of todo) {
      const { path: name, bytes, stamp, source } = file;
      const later = now.get(name);
      const sha256 = read.onPod.get(sourceOf(file));
      const arrived = read.arrived.get(sourceOf(file));
      const here = read.standing.get(name) ?? arrived?.sha256;
      const isSame = later?.stamp === stamp && later.bytes === bytes;
      if (isSame && sha256 !== undefined && sha256 === here) {
        const isStanding = read.standing.has(name) || arrived === undefined;
        settled.set(name, {
          ...{ path: name, bytes, stamp, sha256 },
          ...(source === undefined ? {} : { source }),
          ...(isStanding ? {} : { arrived }),
        });
        continue;
      }
      unsure.push(name);
      if (isSame && sha256 !== undefined)
        if (arrived === undefined) short.push(name);
        else altered.push({ ...arrived, path: name });
    }
    const files = [...settled.values()].toSorted((a, b) => (a.path < b.path ? -1 : 1));
    if (unsure.length > 0 && round === 0) {
      for (const { partial } of altered) await removePartial(partial);
      before = after;
      continue;
    }
    if (altered.length + short.length > 0)
      throw await mismatch(altered, short, options.destination);
    if (files.length === 0 && unsure.length > 0) throw neverSettled(unsure);
    const missing = missingAmong(files, wanted.patterns);
    const unsettled = unsure.filter((name) => now.has(name));
    const vanished = seen.files
      .map(({ path: name }) => name)
      .filter((name) => !settled.has(name) && !now.has(name))
      // What may not be read, or lies below what may not, is refused by its name.
      .filter((name) => !after.odd.some(({ path: odd }) => `${name}/`.startsWith(`${odd}/`)));
    return { ...after, files, unsettled, vanished, missing };
  }
}

interface Read {
  /** By source. */
  readonly onPod: ReadonlyMap<string, string>;
  readonly arrived: ReadonlyMap<string, Arrived>;
  /** By path: the hash of a file that has its size in its place here, and its content. */
  readonly standing: ReadonlyMap<string, string>;
}

/** What has its size here already is compared first; the rest is pulled while the pod hashes it. */
async function readOnce(
  pod: Pod,
  todo: readonly RemoteEntry[],
  alone: boolean,
  options: GatherOptions,
): Promise<Read> {
  const { clock, wanted, destination, partialFolder } = options;
  const { root } = wanted;
  const hash = async (
    through: Pod,
    files: readonly RemoteEntry[],
  ): Promise<ReadonlyMap<string, string>> =>
    again(clock, through.call, UNREACHABLE, async () => hashOnPod(through, root, files));
  const candidates = todo.filter((file) =>
    standsHere(path.join(destination, file.path), file.bytes),
  );
  const first = await hash(pod, candidates);
  const standing = new Map<string, string>();
  for (const file of candidates) {
    const here = path.join(destination, file.path);
    const sha256 = await hashLocalFile(here, file.bytes, pod.call.signal).catch(() => undefined);
    pod.call.signal.throwIfAborted();
    if (sha256 !== undefined && sha256 === first.get(sourceOf(file)))
      standing.set(file.path, sha256);
  }
  const absent = todo.filter((file) => !standing.has(file.path));
  await options.mayLand(absent);
  if (absent.length === 0) return { onPod: first, arrived: new Map(), standing };

  const bySource = new Map(absent.map((file) => [sourceOf(file), file]));
  const files = [...bySource].map(
    ([source, { bytes, stamp }]): Wanted => ({
      source,
      bytes,
      partial: partialOf(partialFolder, root, { source, bytes, stamp }),
    }),
  );
  await refuseFullHere(partialFolder, files);
  pod.call.progress?.(`Fetching ${amountOf(files)}.`);
  // One that fails ends the other.
  const stop = new AbortController();
  const call = { ...pod.call, signal: AbortSignal.any([pod.call.signal, stop.signal]) };
  const through = openPod(pod.remote, pod.podId, call, { clock });
  const pulling = pullFiles(clock, through, files, { root, partialFolder, alone });
  const hashing = hash(through, [...bySource.values()]);
  const [pulled, hashed] = await Promise.all([pulling, hashing]).catch(async (thrown: unknown) => {
    stop.abort();
    await Promise.allSettled([pulling, hashing]);
    if (isAppError(thrown) && thrown.code === 'unsafe_archive') await removeFolder(partialFolder);
    throw thrown;
  });
  return {
    onPod: new Map([...first, ...hashed]),
    arrived: new Map([...pulled].map(([file, arrived]) => [file.source, arrived])),
    standing,
  };
}

function standsHere(file: string, bytes: number): boolean {
  try {
    const stats = lstatSync(file, { throwIfNoEntry: false });
    return stats?.isFile() === true && stats.size === bytes;
  } catch {
    return false;
  }
}

async function mismatch(
  altered: readonly (Arrived & { readonly path: string })[],
  short: readonly string[],
  destination: string,
): Promise<RemoteError> {
  if (altered.length === 0)
    return new RemoteError(
      'checksum_mismatch',
      `${count(short.length, 'file')} did not arrive whole although the pod's own files did not change. Nothing was written.`,
      { foreignText: quoteForeign(short.slice(0, 10).join('\n')) },
    );
  const folder = await quarantine(destination, altered);
  return new RemoteError(
    'checksum_mismatch',
    `${count(altered.length, 'file')} arrived altered although the pod's own files did not change. Nothing was written; what came is in ${JSON.stringify(folder)}.`,
    {
      foreignText: quoteForeign(
        altered
          .slice(0, 10)
          .map((file) => file.path)
          .join('\n'),
      ),
    },
  );
}
