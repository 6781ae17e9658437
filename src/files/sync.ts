import { stat } from 'node:fs/promises';
import type { CallOptions } from '../core/call.ts';
import { count } from '../core/count.ts';
import { InputError } from '../core/errors.ts';
import type { SyncRequest, SyncResult } from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import { KeyedLock } from '../core/keyed-lock.ts';
import { type CarriedOut, carryOut } from './carry-out.ts';
import type { FilesDeps } from './deps.ts';
import { refuseRunningJob } from './job-guard.ts';
import { createLooking, type Looking, type StartLooking } from './looking.ts';
import { meanwhileWords, refuseAllVanished, refuseUnsettled, vanishedOf } from './meanwhile.ts';
import { overwrittenWords } from './overwritten.ts';
import { createPace } from './pace.ts';
import { openPod, type Pod } from './pod.ts';
import { podFolders } from './remote-folder.ts';
import { type PodFolders, resolveRemoteTarget } from './remote-target.ts';
import { lacksRoom, refuseFull } from './room.ts';
import { createRules } from './rules.ts';
import type { Pace } from './send.ts';
import { comparedAsSent } from './send-big.ts';
import { createSentBefore } from './sent.ts';
import { createStagings, type Stagings } from './staging.ts';
import { type DeleteDesk, findExtras, NO_EXTRAS } from './sync-extras.ts';
import { hashLocal, nothingToSend, oneFile, refuseUnmatched, walkFolder } from './sync-local.ts';
import { afterLook } from './sync-memory.ts';
import { bytesOf, keptWords, type PlannedFile, refuseTooLarge, skippedOf } from './sync-plan.ts';
import { compare, findFilePlace } from './sync-remote.ts';
import { createStates, isSameState, type StateFile, type SyncState } from './sync-state.ts';
import { createTrees, type TreeMemory } from './sync-trees.ts';
import { resolveExisting } from './workspace.ts';

const MAX_SKIPPED = 200;
const NOTHING = { grown: [], same: [], vanished: [], wireBytes: 0, isBeside: false };

interface Desk extends DeleteDesk {
  readonly deps: FilesDeps;
  readonly states: (podId: PodId, target: string) => StateFile;
  readonly stagings: Stagings;
  readonly looking: StartLooking;
  readonly pace: (podId: PodId) => Pace;
  /** Home and work folder of each pod as it named them last. */
  readonly folders: Map<PodId, PodFolders>;
  readonly trees: (request: SyncRequest, local: string, target: string) => TreeMemory;
}

/** Local tree to pod: only what differs, in one stream, nothing replaced until it has arrived whole. */
export function createSync(
  deps: FilesDeps,
): (request: SyncRequest, options: CallOptions) => Promise<SyncResult> {
  const lock = new KeyedLock();
  const states = createStates(deps.home);
  const desk: Desk = {
    deps,
    states,
    stagings: createStagings(deps.home),
    looking: createLooking(),
    pace: createPace(),
    folders: new Map(),
    previews: new Map(),
    sentBefore: createSentBefore(deps.home, states),
    trees: createTrees(),
  };
  return async (request, options) =>
    lock.run(request.podId, async () => syncOnce(desk, request, options));
}

async function syncOnce(
  desk: Desk,
  request: SyncRequest,
  options: CallOptions,
): Promise<SyncResult> {
  const { deps } = desk;
  const startedMs = deps.clock.now().getTime();
  const pod = openPod(deps.remote, request.podId, options);
  const local = await resolveExisting(deps.workspace, request.localPath);
  const isFolder = (await stat(local)).isDirectory();
  const folders = desk.folders.get(request.podId) ?? (await podFolders(pod));
  desk.folders.set(request.podId, folders);
  const place = isFolder
    ? { target: resolveRemoteTarget(request.remotePath, folders), name: '' }
    : await findFilePlace(pod, request.remotePath, local, folders);

  const memory = desk.states(request.podId, place.target);
  const remembered = await memory.load();
  const looking = desk.looking(pod, { ...place, folders }, remembered);
  const tree = desk.trees(request, local, place.target);
  const side = { pod, local, isFolder, name: place.name, startedMs, memory, remembered, tree };
  // What fails here must not leave a question to the pod running.
  return syncFiles(desk, request, { ...side, looking }, options).finally(async () =>
    looking.settled(),
  );
}

interface Side {
  readonly pod: Pod;
  /** Real. */
  readonly local: string;
  readonly isFolder: boolean;
  /** On the pod, of the one file. */
  readonly name: string;
  readonly startedMs: number;
  readonly memory: StateFile;
  readonly remembered: SyncState | undefined;
  readonly looking: Looking;
  readonly tree: TreeMemory;
}

async function syncFiles(
  desk: Desk,
  request: SyncRequest,
  { pod, local, isFolder, name, startedMs, memory, remembered, looking, tree }: Side,
  options: CallOptions,
): Promise<SyncResult> {
  const { deps } = desk;
  options.progress?.('Reading the local files.');
  const rules = createRules(request);
  const walked = isFolder
    ? await walkFolder(local, rules, request, options, tree.walk)
    : oneFile(local, name, request);
  if (isFolder) refuseUnmatched(rules);
  if (walked.files.length === 0 && walked.secretNames.length === 0) throw nothingToSend(walked);
  if (!request.dryRun) refuseTooLarge(walked.files);

  options.progress?.(`Comparing ${count(walked.files.length, 'file')} with the pod.`);
  const hashing = await hashLocal(deps, local, walked, request, options, tree.hashed);
  let isTold = false;
  const looked = looking.for(walked, hashing.readsAsSent).finally(() => {
    isTold = true;
  });
  // Hashing here and looking there at once.
  const [look, ahead] = await Promise.all([
    looked,
    hashing.ahead(
      (file) => remembered?.entries.has(file) === true,
      () => isTold,
    ),
  ]);
  desk.folders.set(request.podId, look.folders);
  if (isFolder && look.kind === 'file')
    throw new InputError('invalid_input', 'remotePath is a file on the pod; a folder is sent.');
  if (!request.dryRun) await refuseRunningJob(deps.jobs, request.podId, look.real, options);
  const before = afterLook(remembered, look);
  const patched = comparedAsSent(look, walked.files);
  const compared = async (some: readonly PlannedFile[]) =>
    tree.compared(look, before, some, async () => compare(pod, look, before, some));
  let files = await hashing.present(
    ahead,
    // What an earlier attempt left is known by its hash.
    (file) => look.stagings.length > 0 || (before.entries.has(file) && !patched(file)),
  );
  await hashing.save();
  let { plan, state } = await compared(files);
  if (!request.dryRun && lacksRoom(look, plan.send) !== undefined) {
    // What the pod turns out to have needs no room.
    files = await hashing.present(files, (file) => before.entries.has(file));
    ({ plan, state } = await compared(files));
  }
  refuseAllVanished(files);
  const { extras, kept } =
    request.delete && isFolder && look.kind === 'folder'
      ? await findExtras(desk, pod, look, request, { files, walked, rules })
      : NO_EXTRAS;
  const overwritten = overwrittenWords(remembered, state, plan.send);
  const answer = (done: Omit<CarriedOut, 'unsettled' | 'state'>): SyncResult => {
    const { files: sent, same, wireBytes } = done;
    const unchanged = same.length === 0 ? plan.unchanged : [...plan.unchanged, ...same];
    const told = meanwhileWords(done);
    const warnings = [...told, ...hashing.warnings(), ...keptWords(kept), ...overwritten];
    const skipped = [...vanishedOf(done.vanished), ...skippedOf(kept, walked)];
    return {
      podId: request.podId,
      remotePath: isFolder ? look.real : `${look.real}/${name}`,
      sent: { files: sent.length, bytes: bytesOf(sent) },
      unchanged: { files: unchanged.length, bytes: bytesOf(unchanged) },
      deleted: [...extras],
      skipped: skipped.slice(0, MAX_SKIPPED),
      skippedCount: skipped.length,
      wireBytes,
      seconds: (deps.clock.now().getTime() - startedMs) / 1000,
      verified: !request.dryRun,
      dryRun: request.dryRun,
      ...(warnings.length === 0 ? {} : { warnings: [...warnings] }),
    };
  };
  // What is said of edits there is said again until they are replaced. What the pod hashed is kept whatever happens next.
  const isNews = plan.send.length === 0 || request.dryRun || look.facts.size > 0;
  if (state !== remembered && overwritten.length === 0 && !isSameState(state, remembered))
    if (isNews || state.entries !== before.entries) await memory.save(state);
  if (request.dryRun) return answer({ ...NOTHING, files: plan.send });

  refuseFull(look, plan.send);
  const { stagings } = desk;
  const pace = desk.pace(request.podId);
  const keep = async (now: SyncState): Promise<void> => memory.save(now);
  const done = await carryOut(
    { deps, pod, look, hashing, stagings, pace, files, extras, keep },
    plan.send,
    state,
  ).finally(async () => hashing.save());
  tree.settled(done.state, files);
  if (done.state !== state) await memory.save(done.state);
  refuseAllVanished(files, done);
  refuseUnsettled(done, [...plan.unchanged, ...done.same, ...done.files]);
  return answer(done);
}
