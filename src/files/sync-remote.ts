import path from 'node:path';
import { InputError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { hashSeconds, type Pod } from './pod.ts';
import { fastHash } from './pod-hash.ts';
import { listScript, parseListing } from './pod-listing.ts';
import { factsScript, parseFacts } from './pod-names.ts';
import { lookAtFolder } from './remote-folder.ts';
import { type PodFolders, resolveRemoteTarget } from './remote-target.ts';
import { DEFAULT_EXCLUDES } from './rules.ts';
import type { Look } from './sync-look.ts';
import { factsOf, unknownOf, withFacts } from './sync-memory.ts';
import { type PlannedFile, planSync, type SyncPlan, totalBytes } from './sync-plan.ts';
import type { SyncState } from './sync-state.ts';

/** The folder that one file goes into, and its name there. */
export async function findFilePlace(
  pod: Pod,
  remotePath: string,
  localFilePath: string,
  folders: PodFolders,
): Promise<{ readonly target: string; readonly name: string }> {
  const name = path.basename(localFilePath);
  const plainName = remotePath.slice(remotePath.lastIndexOf('/') + 1);
  const target = resolveRemoteTarget(remotePath, folders);
  if (['', '.', '..', '~'].includes(plainName)) return { target, name };
  const found = await lookAtFolder(pod, target, folders, '');
  if (found.kind === 'folder') return { target, name };
  const parent = path.posix.dirname(target);
  if (parent === '/') throw new InputError('invalid_input', 'remotePath is in the root folder.');
  return { target: parent, name: plainName };
}

/** Asks the pod for the hashes that nobody knows yet, and throws when something stands in the way. */
export async function compare(
  pod: Pod,
  look: Look,
  before: SyncState,
  files: readonly PlannedFile[],
): Promise<{ readonly plan: SyncPlan; readonly state: SyncState }> {
  if (look.kind !== 'folder') return { plan: planSync(files, new Map()), state: before };
  // Those without a hash are compared as they are sent.
  const hashedHere = files.filter(({ sha256 }) => sha256 !== '');
  const unknown = unknownOf(before.entries, hashedHere, look.facts);
  const hashed = unknown.length === 0 ? look.facts : await hashThere(pod, look.real, unknown);
  const state = { ...before, entries: withFacts(before.entries, hashed, look.nowSeconds) };
  const plan = planSync(files, factsOf(state.entries, hashed, look.facts));
  const inTheWay = [...look.blocked, ...plan.conflicts];
  if (inTheWay.length > 0)
    throw new InputError(
      'invalid_input',
      'On the pod a link, a file or a folder stands where this sync needs something else. Nothing was sent.',
      {
        hint: 'Remove or rename it on the pod, or choose another remotePath.',
        foreignText: quoteForeign(inTheWay.slice(0, 5).join('\n')),
      },
    );
  return { plan, state };
}

async function hashThere(
  pod: Pod,
  folder: string,
  files: readonly PlannedFile[],
): Promise<ReturnType<typeof parseFacts>['facts']> {
  const names = files.map((file) => file.path);
  const output = await pod.must(factsScript(folder, names, [], fastHash(totalBytes(files))), {
    timeoutSeconds: hashSeconds(totalBytes(files)),
    what: 'hash the files that are there',
  });
  return parseFacts(output, names).facts;
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
