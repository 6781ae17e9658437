import path from 'node:path';
import type { CallOptions } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import {
  type ArtifactRecord,
  type FetchRequest,
  type FetchResult,
  PROOF_LEVELS,
  type Proof,
} from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import type { Collections } from '../core/store.ts';
import { quoteForeign } from '../core/untrusted.ts';
import type { FilesDeps } from './deps.ts';
import type { Gathered } from './gather.ts';
import type { Verdict } from './home-cache.ts';
import { isHome } from './land.ts';
import type { ManifestFile } from './manifest.ts';
import { selects } from './patterns.ts';
import { looksAround, prove } from './prove.ts';
import { heldBackOf, type NotBrought } from './refused.ts';
import { isBelow } from './remote-target.ts';

export type Fetched = FetchResult['manifest']['files'][number];

const YIELD_FILES = 200;

export function artifactIdOf(podId: PodId, remotePath: string): string {
  return `${podId}:${remotePath}`;
}

/**
 * Opens each file as far as was asked and its type allows. A file that does not open keeps its bytes and says why.
 * `verdict`: what is known of a file that nobody touched since it was opened.
 */
export async function proveFiles(
  destination: string,
  files: readonly ManifestFile[],
  limit: Proof,
  signal: AbortSignal,
  verdict: (path: string) => Verdict | undefined,
): Promise<readonly Fetched[]> {
  const proven: Fetched[] = [];
  const opens = PROOF_LEVELS.indexOf(limit) > PROOF_LEVELS.indexOf('hash');
  for (const file of files) {
    signal.throwIfAborted();
    const localPath = path.join(destination, file.path);
    const { path: name, bytes, sha256 } = file;
    const found = opens
      ? ((looksAround(name) ? undefined : verdict(name)) ??
        (await prove(localPath, { limit, signal })))
      : { proof: 'hash' as const };
    proven.push({ path: name, bytes, sha256, localPath, ...found });
    if (proven.length % YIELD_FILES === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  return proven;
}

export async function keepRecords(
  deps: FilesDeps,
  request: FetchRequest,
  root: string,
  files: readonly Fetched[],
  {
    fetchedAt,
    stale,
    whole,
    heldBack,
    wasLookedFor,
  }: SeenThere & {
    readonly fetchedAt: string;
    /** Why a file is older than the run it is called a result of, by path. */
    readonly stale: ReadonlyMap<string, string>;
  },
): Promise<void> {
  const left = heldBack.slice(0, MAX_HELD).map((name) => path.posix.join(root, name));
  await deps.store.transaction(async (tx) => {
    const stillHeld = await forgetSeen(tx, request.podId, root, wasLookedFor);
    for (const [at, file] of files.entries()) {
      const remotePath = path.posix.join(root, file.path);
      const wholeOf = whole.filter((pattern) => selects(pattern)(file.path));
      const old = stale.get(file.path);
      const record: ArtifactRecord = {
        artifactId: artifactIdOf(request.podId, remotePath),
        podId: request.podId,
        ...(request.jobId === undefined ? {} : { jobId: request.jobId }),
        remotePath,
        localPath: file.localPath,
        bytes: file.bytes,
        sha256: file.sha256,
        proof: file.proof,
        ...(old === undefined ? {} : { stale: old }),
        fetchedAt,
        ...(wholeOf.length === 0 ? {} : { wholeOf }),
      };
      const held = [...(stillHeld.get(record.artifactId) ?? []), ...(at === 0 ? left : [])];
      await tx.artifacts.put(
        record.artifactId,
        held.length === 0 ? record : { ...record, heldBack: held },
      );
    }
  });
}

/** What a fetch knows of the folder it looked at. Names are relative to its root. */
export interface SeenThere {
  /** Patterns that a job declared and that are home now without exception. */
  readonly whole: readonly string[];
  /** See `heldBackOf`. */
  readonly heldBack: readonly string[];
  readonly wasLookedFor: (name: string) => boolean;
}

export function whatWasSeen(
  { exclude, jobId }: FetchRequest,
  patterns: readonly string[],
  home: NotBrought & Pick<Gathered, 'missing'>,
): SeenThere {
  const heldBack = heldBackOf(home, patterns);
  const isWhole = (pattern: string): boolean =>
    !home.missing.includes(pattern) && !heldBack.some(selects(pattern));
  return {
    heldBack,
    whole: jobId === undefined || exclude.length > 0 ? [] : patterns.filter(isWhole),
    wasLookedFor: (name) =>
      exclude.length === 0 && patterns.some((pattern) => selects(pattern)(name)),
  };
}

const MAX_HELD = 100;

/** Takes from the records of a pod what a newer fetch looked at again; what is left of it, by record. */
async function forgetSeen(
  tx: Collections,
  podId: PodId,
  root: string,
  wasLookedFor: SeenThere['wasLookedFor'],
): Promise<ReadonlyMap<string, readonly string[]>> {
  const kept = new Map<string, readonly string[]>();
  for (const record of await tx.artifacts.list()) {
    if (record.podId !== podId || record.heldBack === undefined) continue;
    const { heldBack, ...rest } = record;
    const held = heldBack.filter(
      (name) => !isBelow(root, name) || !wasLookedFor(path.posix.relative(root, name)),
    );
    kept.set(record.artifactId, held);
    await tx.artifacts.put(
      record.artifactId,
      held.length === 0 ? rest : { ...rest, heldBack: held },
    );
  }
  return kept;
}

/**
 * Throws when a file would land on the result of another pod or path that is still whole there: it may be the only copy.
 * A newer version of the same file replaces the older one.
 */
export async function refuseOthersOnly(
  deps: FilesDeps,
  podId: PodId,
  root: string,
  destination: string,
  files: readonly { readonly path: string }[],
  { signal }: CallOptions,
): Promise<void> {
  const records = await recordsByPlace(deps);
  for (const file of files) {
    const localPath = path.join(destination, file.path);
    const own = artifactIdOf(podId, path.posix.join(root, file.path));
    const others = records.get(localPath) ?? [];
    if (others.some(({ artifactId }) => artifactId === own)) continue;
    for (const other of others)
      if (await isHome(localPath, other, signal))
        throw new InputError(
          'invalid_input',
          'localPath holds the results of another job or pod, and this fetch would replace them. Nothing was fetched.',
          {
            hint: 'Choose another localPath, for example one folder for each job.',
            foreignText: quoteForeign(file.path, 300),
          },
        );
  }
}

async function recordsByPlace(
  deps: Pick<FilesDeps, 'store'>,
): Promise<ReadonlyMap<string, readonly ArtifactRecord[]>> {
  const records = new Map<string, ArtifactRecord[]>();
  for (const record of await deps.store.artifacts.list()) {
    const known = records.get(record.localPath);
    if (known === undefined) records.set(record.localPath, [record]);
    else known.push(record);
  }
  return records;
}

/** Whether a fetch put a file of that content there. The records are read when they are first asked. */
export function recordedHere(
  deps: Pick<FilesDeps, 'store'>,
): (file: string, bytes: number, sha256: string) => Promise<boolean> {
  let records: ReturnType<typeof recordsByPlace> | undefined;
  return async (file, bytes, sha256) => {
    records ??= recordsByPlace(deps);
    const there = (await records).get(file) ?? [];
    return there.some((record) => record.bytes === bytes && record.sha256 === sha256);
  };
}
