import path from 'node:path';
import {
  type ArtifactRecord,
  type FetchRequest,
  type FetchResult,
  PROOF_LEVELS,
  type Proof,
} from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import type { FilesDeps } from './deps.ts';
import type { ManifestFile } from './manifest.ts';
import { prove } from './prove.ts';

export type Fetched = FetchResult['manifest']['files'][number];

export function artifactIdOf(podId: PodId, remotePath: string): string {
  return `${podId}:${remotePath}`;
}

/** Opens each file as far as was asked and its type allows. A file that does not open keeps its bytes and says why. */
export async function proveFiles(
  destination: string,
  files: readonly ManifestFile[],
  verify: FetchRequest['verify'],
  signal: AbortSignal,
): Promise<readonly Fetched[]> {
  const limit: Proof = verify === 'load' ? 'loaded' : verify;
  const proven: Fetched[] = [];
  for (const file of files) {
    signal.throwIfAborted();
    const localPath = path.join(destination, file.path);
    const opens = PROOF_LEVELS.indexOf(limit) > PROOF_LEVELS.indexOf('hash');
    const verdict = opens ? await prove(localPath, { limit, signal }) : { proof: 'hash' as const };
    proven.push({ ...file, localPath, ...verdict });
  }
  return proven;
}

export async function keepRecords(
  deps: FilesDeps,
  request: FetchRequest,
  root: string,
  files: readonly Fetched[],
): Promise<void> {
  const fetchedAt = deps.clock.now().toISOString();
  await deps.store.transaction(async (tx) => {
    for (const file of files) {
      const remotePath = path.posix.join(root, file.path);
      const record: ArtifactRecord = {
        artifactId: artifactIdOf(request.podId, remotePath),
        podId: request.podId,
        ...(request.jobId === undefined ? {} : { jobId: request.jobId }),
        remotePath,
        localPath: file.localPath,
        bytes: file.bytes,
        sha256: file.sha256,
        proof: file.proof,
        fetchedAt,
      };
      await tx.artifacts.put(record.artifactId, record);
    }
  });
}
