import path from 'node:path';
import { InputError, isAppError, RemoteError } from '../core/errors.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { quoteForeign } from '../core/untrusted.ts';
import type { FilesDeps } from './deps.ts';
import { openHashCache } from './local-hash.ts';
import { hashSeconds, type Pod } from './pod.ts';
import { listScript, parseListing } from './pod-listing.ts';
import { batches, dotted, factsScript, foldersOf, parseFacts } from './pod-names.ts';
import { lookAtFolder, podFolders, type RemoteFolder } from './remote-folder.ts';
import { resolveRemoteTarget } from './remote-target.ts';
import { DEFAULT_EXCLUDES } from './rules.ts';
import { STAGING_PREFIX, sendFiles } from './send.ts';
import { amountOf, type PlannedFile, planSync, totalBytes } from './sync-plan.ts';
import { localFile } from './walk.ts';

const ATTEMPTS = 3;
const RETRY_SECONDS = 5;
const HEADROOM = 1.2;

export async function findTarget(
  pod: Pod,
  remotePath: string,
  localFilePath: string | undefined,
): Promise<{ readonly folder: RemoteFolder; readonly name: string }> {
  const folders = await podFolders(pod);
  if (localFilePath === undefined) {
    const folder = await lookAtFolder(pod, resolveRemoteTarget(remotePath, folders), folders);
    if (folder.kind === 'file')
      throw new InputError('invalid_input', 'remotePath is a file on the pod; a folder is sent.');
    return { folder, name: '' };
  }
  const name = path.basename(localFilePath);
  const plainName = remotePath.slice(remotePath.lastIndexOf('/') + 1);
  if (!['', '.', '..', '~'].includes(plainName)) {
    const target = resolveRemoteTarget(remotePath, folders);
    const found = await lookAtFolder(pod, target, folders, '');
    if (found.kind === 'folder')
      return { folder: await lookAtFolder(pod, target, folders, name), name };
    const parent = path.posix.dirname(target);
    if (parent === '/') throw new InputError('invalid_input', 'remotePath is in the root folder.');
    return { folder: await lookAtFolder(pod, parent, folders, plainName), name: plainName };
  }
  const folder = await lookAtFolder(pod, resolveRemoteTarget(remotePath, folders), folders);
  return { folder, name };
}

export async function compare(
  pod: Pod,
  folder: RemoteFolder,
  files: readonly PlannedFile[],
): Promise<ReturnType<typeof planSync>> {
  if (folder.kind !== 'folder') return planSync(files, new Map());
  const names = files.map((file) => file.path);
  const output = await pod.must(factsScript(folder.real, names, foldersOf(names)), {
    timeoutSeconds: hashSeconds(totalBytes(files)),
    what: 'hash the files that are there',
  });
  const { facts, blocked } = parseFacts(output, names);
  const plan = planSync(files, facts);
  const inTheWay = [...blocked, ...plan.conflicts];
  if (inTheWay.length > 0)
    throw new InputError(
      'invalid_input',
      'On the pod a link, a file or a folder stands where this sync needs something else. Nothing was sent.',
      {
        hint: 'Remove or rename it on the pod, or choose another remotePath.',
        foreignText: quoteForeign(inTheWay.slice(0, 5).join('\n')),
      },
    );
  return plan;
}

export async function listRemote(
  pod: Pod,
  folder: string,
): Promise<ReturnType<typeof parseListing>['entries']> {
  const output = await pod.must(listScript(folder, [''], DEFAULT_EXCLUDES), {
    timeoutSeconds: 300,
    what: 'list its files',
  });
  return parseListing(output).entries;
}

export function refuseFull(folder: RemoteFolder, files: readonly PlannedFile[]): void {
  const bytes = totalBytes(files) * HEADROOM;
  const inodes = files.length * HEADROOM;
  const fullBytes = folder.freeBytes !== undefined && folder.freeBytes < bytes;
  const fullInodes = folder.freeInodes !== undefined && folder.freeInodes < inodes;
  if (files.length > 0 && (fullBytes || fullInodes))
    throw new RemoteError(
      'disk_full',
      fullBytes
        ? `${Math.ceil(bytes / 1e6)} MB are needed on the pod and ${Math.floor((folder.freeBytes ?? 0) / 1e6)} MB are free. Nothing was sent.`
        : `The pod has too few inodes left for ${files.length} files. Nothing was sent.`,
    );
}

export async function sendAll(
  deps: FilesDeps,
  pod: Pod,
  folder: RemoteFolder,
  planned: readonly PlannedFile[],
  root: string,
): Promise<{ readonly files: readonly PlannedFile[]; readonly wireBytes: number }> {
  const done: PlannedFile[] = [];
  let wireBytes = 0;
  let left = planned;
  for (let round = 0; left.length > 0; round += 1) {
    if (round === 2)
      throw new RemoteError(
        'checksum_mismatch',
        `${JSON.stringify(left[0]?.path)} keeps changing while it is sent.`,
        { hint: 'Call again when it no longer changes, or exclude it.' },
      );
    pod.call.progress?.(`Sending ${amountOf(left)}.`);
    const sent = await sendWithRetry(deps, pod, folder, left);
    done.push(...sent.placed);
    wireBytes += sent.wireBytes;
    const cache = await openHashCache({ home: deps.home, root, clock: deps.clock });
    left = await Promise.all(
      sent.changed.map(async (file) => {
        const fresh = localFile(file.absolute, file.path);
        return { ...fresh, sha256: (await cache.hash(fresh, pod.call.signal)).sha256 };
      }),
    );
  }
  return { files: done, wireBytes };
}

/** A broken link is tried again after five seconds: nothing was replaced, so repeating is safe. */
async function sendWithRetry(
  deps: FilesDeps,
  pod: Pod,
  folder: RemoteFolder,
  files: readonly PlannedFile[],
): ReturnType<typeof sendFiles> {
  for (let attempt = 1; ; attempt += 1)
    try {
      return await sendFiles(pod, folder.real, files, folder);
    } catch (failure) {
      const broken = isAppError(failure) && ['link_lost', 'ssh_unreachable'].includes(failure.code);
      if (!broken || attempt === ATTEMPTS) throw failure;
      pod.call.progress?.('The link broke; sending again.');
      await deps.clock.sleep(RETRY_SECONDS, pod.call);
    }
}

/** Removes what `delete` may, and staging folders that a killed sync left. */
export async function finish(pod: Pod, folder: string, extras: readonly string[]): Promise<void> {
  const script = [
    `cd ${shellQuote(folder)} || exit 3`,
    `rm -rf -- ./${STAGING_PREFIX}*`,
    'r() { rm -f -- "$@" || exit 33; }',
    ...batches('r', extras.map(dotted)),
    '',
  ].join('\n');
  await pod.must(script, { timeoutSeconds: 600, what: 'clean the folder' });
}
