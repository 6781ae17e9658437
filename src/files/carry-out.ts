import { isAppError } from '../core/errors.ts';
import { isUntouched } from './as-sent.ts';
import { DELTA_BYTES } from './block-hash.ts';
import type { Meter } from './codec.ts';
import type { FilesDeps } from './deps.ts';
import { listAfter, listedAgain } from './list-after.ts';
import { placeScript } from './place-script.ts';
import { type After, readPlaced } from './placed.ts';
import type { Pod } from './pod.ts';
import { type Pace, type Parcel, type Sent, sendFiles } from './send.ts';
import type { Staging, Stagings } from './staging.ts';
import type { Hashing } from './sync-local.ts';
import type { Look } from './sync-look.ts';
import { afterSend } from './sync-memory.ts';
import { amountOf, type PlannedFile } from './sync-plan.ts';
import type { SyncState } from './sync-state.ts';

const ATTEMPTS = 3;
const RETRY_SECONDS = 5;
/** So often a file that changed while it was sent is sent as it is then. */
const ROUNDS = 3;

export interface Errand {
  readonly deps: FilesDeps;
  readonly pod: Pod;
  readonly look: Look;
  readonly hashing: Pick<Hashing, 'late' | 'again' | 'save'>;
  readonly stagings: Stagings;
  readonly pace: Pace;
  /** All that the local tree holds, for the list at the end. */
  readonly files: readonly PlannedFile[];
  readonly extras: readonly string[];
  /** Told what is in place while some files are still to come: what breaks later does not make it unknown. */
  readonly keep: (state: SyncState) => Promise<void>;
}
export interface CarriedOut {
  /** In place, each as it was at one moment. */
  readonly files: readonly PlannedFile[];
  /** Of these: have been added to since. */
  readonly grown: readonly PlannedFile[];
  /** The pod turned out to have them. */
  readonly same: readonly PlannedFile[];
  /** Are no files here any more. */
  readonly vanished: readonly PlannedFile[];
  /** Were other files each time they were sent: not in place. */
  readonly unsettled: readonly PlannedFile[];
  readonly wireBytes: number;
  /** Another sync of this home worked on the same target meanwhile. */
  readonly isBeside: boolean;
  readonly state: SyncState;
}

/** Sends, places, removes and sweeps; what is remembered afterwards. What fails in the middle of one round throws. */
export async function carryOut(
  errand: Errand,
  planned: readonly PlannedFile[],
  before: SyncState,
): Promise<CarriedOut> {
  const { pod, look, hashing, extras } = errand;
  const abandoned = await errand.stagings.abandoned(look.stagings);
  const none = { files: [], grown: [], same: [], vanished: [], unsettled: [] };
  const nothing = { ...none, wireBytes: 0, isBeside: false };
  if (planned.length + extras.length + abandoned.length === 0) return { ...nothing, state: before };
  const listed = listedAgain(look, errand.files);
  if (planned.length === 0) {
    const listing = listAfter(before, listed, extras);
    const after = await tidy(pod, look, { extras, sweep: abandoned, ...listing });
    return { ...nothing, state: afterSend(before, [], after) };
  }
  await using staging = await errand.stagings.open(pod.podId, look.real);
  const sweep = abandoned.filter((name) => name !== staging.name);
  const done: PlannedFile[] = [];
  const same: PlannedFile[] = [];
  const vanished: PlannedFile[] = [];
  const meter: Meter = { bytes: 0 };
  let state = before;
  let left = planned;
  for (let round = 0; round < ROUNDS && left.length > 0; round += 1) {
    if (round > 0) await errand.keep(state);
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
      // While the pod puts them in place.
      packed: () => void hashing.save(),
    });
    done.push(...sent.placed);
    same.push(...sent.same);
    state = afterSend(state, sent.placed, sent.after);
    const again: PlannedFile[] = [];
    for (const file of sent.changed) {
      const now = await hashing.again(file);
      if (now === undefined) vanished.push(file);
      else again.push(now);
    }
    left = again;
  }
  const grown = done.filter((file) => file.mayHaveGrown === true && !isUntouched(file));
  const { isBeside } = staging;
  const { bytes: wireBytes } = meter;
  return { files: done, grown, same, vanished, unsettled: left, wireBytes, isBeside, state };
}

/** A broken link is tried again after five seconds: nothing was replaced, so repeating is safe. */
async function sendWithRetry(
  { deps, pod, look, pace }: Errand,
  staging: Staging,
  files: readonly PlannedFile[],
  rest: Pick<
    Parcel,
    'place' | 'read' | 'isThere' | 'hashThere' | 'executableThere' | 'late' | 'meter' | 'packed'
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
