import type { FetchRequest, FetchResult, SyncRequest } from '../../src/core/files.ts';
import type { PodId } from '../../src/core/ids.ts';

/** The folder `project` as it is, and nothing beyond it. */
export function syncOf(podId: PodId, request: Partial<SyncRequest> = {}): SyncRequest {
  return {
    podId,
    localPath: 'project',
    remotePath: 'project',
    include: [],
    exclude: [],
    delete: false,
    dryRun: false,
    allowSecrets: [],
    ...request,
  };
}

/** The folder `out` into `results`, proven by its hashes. */
export function fetchOf(podId: PodId, request: Partial<FetchRequest> = {}): FetchRequest {
  return {
    podId,
    paths: ['out'],
    localPath: 'results',
    exclude: [],
    verify: 'hash',
    strict: false,
    dryRun: false,
    ...request,
  };
}

/** One file of eight bytes came home. */
export function fetchedOne(podId: PodId): FetchResult {
  return {
    podId,
    manifest: { root: '/w', files: [], totalFiles: 1, totalBytes: 8 },
    missing: [],
    leftOnPod: [],
    left: 0,
    dryRun: false,
  };
}
