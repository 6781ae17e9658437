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
import { quoteForeign } from '../core/untrusted.ts';
import type { FilesDeps } from './deps.ts';
import type { Verdict } from './home-cache.ts';
import { isHome } from './land.ts';
import type { ManifestFile } from './manifest.ts';
import { selects } from './patterns.ts';
import { looksAround, prove } from './prove.ts';

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
    whole,
    stale,
  }: {
    readonly fetchedAt: string;
    readonly whole: readonly string[];
    /** Why a file is older than the run it is called a result of, by path. */
    readonly stale: ReadonlyMap<string, string>;
  },
): Promise<void> {
  await deps.store.transaction(async (tx) => {
    for (const file of files) {
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
      await tx.artifacts.put(record.artifactId, record);
    }
  });
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
  const records = new Map<string, ArtifactRecord[]>();
  for (const record of await deps.store.artifacts.list()) {
    const known = records.get(record.localPath);
    if (known === undefined) records.set(record.localPath, [record]);
    else known.push(record);
  }
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
