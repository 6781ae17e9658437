import { realpath } from 'node:fs/promises';
import path from 'node:path';
import type { Clock } from '../core/call.ts';
import type { Files, SyncRequest, SyncResult } from '../core/files.ts';
import { providerOf } from '../core/ids.ts';
import type { Store } from '../core/store.ts';
import { codeStateOf } from './git/work-tree.ts';

/**
 * The same files, and a note of what was sent: the commit of the folder, and whether it stands as committed. Taken while the
 * files are on their way, for the receipt of the pod. Sending never fails for want of it.
 */
export function withCode(
  files: Files,
  deps: { readonly store: Store; readonly clock: Clock; readonly workspace: string },
): Files {
  return {
    fetch: async (request, options) => files.fetch(request, options),
    gates: async (podId, options) => files.gates(podId, options),
    async sync(request, options) {
      if (request.dryRun || providerOf(request.podId) === 'ssh')
        return files.sync(request, options);
      const wanted = path.resolve(deps.workspace, request.localPath);
      const localPath = await realpath(wanted).catch(() => wanted);
      const state = codeStateOf(localPath, options.signal);
      const result = await files.sync(request, options);
      await note(deps, request, localPath, result, await state).catch(() => undefined);
      return result;
    },
  };
}

async function note(
  { store, clock }: { readonly store: Store; readonly clock: Clock },
  { podId }: SyncRequest,
  localPath: string,
  { remotePath, sent, unchanged }: SyncResult,
  state: Awaited<ReturnType<typeof codeStateOf>>,
): Promise<void> {
  await store.code.put(`${podId}:${remotePath}`, {
    podId,
    localPath,
    remotePath,
    syncedAt: clock.now().toISOString(),
    files: sent.files + unchanged.files,
    bytes: sent.bytes + unchanged.bytes,
    ...state,
  });
}
