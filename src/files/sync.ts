import { stat } from 'node:fs/promises';
import type { CallOptions } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import type { SyncRequest, SyncResult } from '../core/files.ts';
import { KeyedLock } from '../core/keyed-lock.ts';
import type { FilesDeps } from './deps.ts';
import { refuseRunningJob } from './job-guard.ts';
import { openPod } from './pod.ts';
import { createRules } from './rules.ts';
import { hashLocal, nothingToSend, oneFile, walkFolder } from './sync-local.ts';
import { type PlannedFile, planDelete, refuseTooLarge, totalBytes } from './sync-plan.ts';
import { compare, findTarget, finish, listRemote, refuseFull, sendAll } from './sync-remote.ts';
import { resolveExisting } from './workspace.ts';

const MAX_SKIPPED = 200;

/** Local tree to pod: only what differs, in one stream, nothing replaced until it has arrived whole. */
export function createSync(
  deps: FilesDeps,
): (request: SyncRequest, options: CallOptions) => Promise<SyncResult> {
  const lock = new KeyedLock();
  return async (request, options) =>
    lock.run(request.podId, async () => syncOnce(deps, request, options));
}

async function syncOnce(
  deps: FilesDeps,
  request: SyncRequest,
  options: CallOptions,
): Promise<SyncResult> {
  const startedMs = deps.clock.now().getTime();
  const pod = openPod(deps.remote, request.podId, options);
  const local = await resolveExisting(deps.workspace, request.localPath);
  const isFolder = (await stat(local)).isDirectory();
  const place = await findTarget(pod, request.remotePath, isFolder ? undefined : local);
  if (!request.dryRun) await refuseRunningJob(deps.jobs, request.podId, place.folder.real, options);

  options.progress?.('Reading the local files.');
  const rules = createRules(request);
  const walked = isFolder
    ? await walkFolder(local, rules, request, options)
    : oneFile(local, place.name, request);
  if (walked.files.length === 0 && walked.secretNames.length === 0) throw nothingToSend(walked);
  const unused = rules.unusedIncludes();
  if (isFolder && unused.length > 0)
    throw new InputError(
      'path_missing',
      `include matches no file: ${unused.slice(0, 5).join(', ')}.`,
    );
  if (!request.dryRun) refuseTooLarge(walked.files);
  const { files, warnings } = await hashLocal(deps, local, walked, request, options);

  options.progress?.(`Comparing ${files.length} files with the pod.`);
  const plan = await compare(pod, place.folder, files);
  const extras =
    request.delete && isFolder && place.folder.kind === 'folder'
      ? planDelete(
          await listRemote(pod, place.folder.real),
          new Set(files.map((file) => file.path)),
          rules,
          walked.skipped,
        )
      : [];
  const answer = (sent: readonly PlannedFile[], wireBytes: number): SyncResult => ({
    podId: request.podId,
    remotePath: isFolder ? place.folder.real : `${place.folder.real}/${place.name}`,
    sent: { files: sent.length, bytes: totalBytes(sent) },
    unchanged: { files: plan.unchanged.length, bytes: totalBytes(plan.unchanged) },
    deleted: [...extras],
    skipped: walked.skipped.slice(0, MAX_SKIPPED),
    skippedCount: walked.skipped.length,
    wireBytes,
    seconds: (deps.clock.now().getTime() - startedMs) / 1000,
    verified: !request.dryRun,
    dryRun: request.dryRun,
    ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
  });
  if (request.dryRun) return answer(plan.send, 0);

  refuseFull(place.folder, plan.send);
  const sent = await sendAll(deps, pod, place.folder, plan.send, local);
  await finish(pod, place.folder.real, extras);
  return answer(sent.files, sent.wireBytes);
}
