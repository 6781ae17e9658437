import path from 'node:path';
import { InputError, isAppError, RemoteError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { DELTA_BYTES } from './block-hash.ts';
import type { Meter } from './codec.ts';
import type { FilesDeps } from './deps.ts';
import { listAfter, listedAgain } from './list-after.ts';
import { placeScript } from './place-script.ts';
import { type After, readPlaced } from './placed.ts';
import { hashSeconds, type Pod } from './pod.ts';
import { fastHash } from './pod-hash.ts';
import { listScript, parseListing } from './pod-listing.ts';
import { factsScript, parseFacts } from './pod-names.ts';
import { lookAtFolder } from './remote-folder.ts';
import { type PodFolders, resolveRemoteTarget } from './remote-target.ts';
import { DEFAULT_EXCLUDES } from './rules.ts';
import { type Pace, type Parcel, type Sent, sendFiles } from './send.ts';
import type { Staging, Stagings } from './staging.ts';
import type { Hashing } from './sync-local.ts';
import type { Look } from './sync-look.ts';
import { afterSend, factsOf, unknownOf, withFacts } from './sync-memory.ts';
import { amountOf, type PlannedFile, planSync, type SyncPlan, totalBytes } from './sync-plan.ts';
import type { SyncState } from './sync-state.ts';
import { localFile } from './walk.ts';

const ATTEMPTS = 3;
const RETRY_SECONDS = 5;

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

export interface Errand {
  readonly deps: FilesDeps;
  readonly pod: Pod;
  readonly look: Look;
  readonly hashing: Pick<Hashing, 'late' | 'again'>;
  readonly stagings: Stagings;
  readonly pace: Pace;
  /** All that the local tree holds, for the list at the end. */
  readonly files: readonly PlannedFile[];
  readonly extras: readonly string[];
}

/** Sends, places, removes and sweeps; what is remembered afterwards. */
export async function carryOut(
  errand: Errand,
  planned: readonly PlannedFile[],
  before: SyncState,
): Promise<{
  readonly files: readonly PlannedFile[];
  /** The pod turned out to have them. */
  readonly same: readonly PlannedFile[];
  readonly wireBytes: number;
  readonly state: SyncState;
}> {
  const { pod, look, hashing, extras } = errand;
  const abandoned = await errand.stagings.abandoned(look.stagings);
  if (planned.length + extras.length + abandoned.length === 0)
    return { files: [], same: [], wireBytes: 0, state: before };
  const listed = listedAgain(look, errand.files);
  if (planned.length === 0) {
    const listing = listAfter(before, listed, extras);
    const after = await tidy(pod, look, { extras, sweep: abandoned, ...listing });
    return { files: [], same: [], wireBytes: 0, state: afterSend(before, [], after) };
  }
  await using staging = await errand.stagings.open(pod.podId, look.real);
  const sweep = abandoned.filter((name) => name !== staging.name);
  const done: PlannedFile[] = [];
  const same: PlannedFile[] = [];
  const meter: Meter = { bytes: 0 };
  let state = before;
  let left = planned;
  for (let round = 0; left.length > 0; round += 1) {
    if (round === 2)
      throw new RemoteError(
        'checksum_mismatch',
        `${JSON.stringify(left[0]?.path)} keeps changing while it is sent.`,
        { hint: 'Call again when it no longer changes, or exclude it.' },
      );
    pod.call.progress?.(`Sending ${amountOf(left)}.`);
    const there = state.entries;
    const after = listAfter(state, listed, [...left.map((file) => file.path), ...extras]);
    const sent = await sendWithRetry(errand, staging, left, {
      place: { extras, sweep, listed: after.listed },
      read: after.read,
      isThere: (name) => there.get(name)?.isFile === true,
      hashThere: (name) => {
        const entry = there.get(name);
        return entry?.isFile === true && entry.sure ? entry.sha256 : undefined;
      },
      executableThere: (name) => there.get(name)?.executable,
      late: hashing.late(left),
      meter,
    });
    done.push(...sent.placed);
    same.push(...sent.same);
    state = afterSend(state, sent.placed, sent.after);
    left = await Promise.all(
      sent.changed.map(async (file) => hashing.again(localFile(file.absolute, file.path))),
    );
  }
  return { files: done, same, wireBytes: meter.bytes, state };
}

/** A broken link is tried again after five seconds: nothing was replaced, so repeating is safe. */
async function sendWithRetry(
  { deps, pod, look, pace }: Errand,
  staging: Staging,
  files: readonly PlannedFile[],
  rest: Pick<
    Parcel,
    'place' | 'read' | 'isThere' | 'hashThere' | 'executableThere' | 'late' | 'meter'
  >,
): Promise<Sent> {
  let known = files;
  let resume = look.stagings.includes(staging.name);
  let { isThere } = rest;
  for (let attempt = 1; ; attempt += 1)
    try {
      const parcel = { ...rest, isThere, files: known, staging: staging.name, resume, look };
      return await sendFiles(pod, parcel, pace, () => deps.clock.now().getTime());
    } catch (failure) {
      const code = isAppError(failure) ? failure.code : '';
      const broken = ['link_lost', 'ssh_unreachable'].includes(code);
      // What was put together from an old file may come from one that changed meanwhile: once more without.
      const misled =
        code === 'checksum_mismatch' &&
        files.some(({ path, bytes }) => bytes >= DELTA_BYTES && isThere(path)) &&
        attempt === 1;
      if ((!broken && !misled) || attempt === ATTEMPTS) throw failure;
      if (misled) isThere = () => false;
      resume = true;
      // What was read before the line broke need not be sent again when it has arrived.
      known = files.map((file) =>
        file.sha256 === '' ? { ...file, sha256: rest.late.sha256Of(file.path) ?? '' } : file,
      );
      if (misled) continue;
      pod.call.progress?.('The link broke; sending again.');
      await deps.clock.sleep(RETRY_SECONDS, pod.call);
    }
}

/** Removes what `delete` may, and staging folders that a killed sync left. */
async function tidy(
  pod: Pod,
  look: Look,
  { read, ...place }: Parcel['place'] & Pick<Parcel, 'read'>,
): Promise<After> {
  const script = placeScript({
    ...place,
    target: look.real,
    staging: undefined,
    files: [],
    alone: false,
  });
  const answer = await pod.run(script, { timeoutSeconds: 600 });
  return readPlaced(answer, [], read);
}
