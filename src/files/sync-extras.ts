import type { SyncRequest } from '../core/files.ts';
import type { Pod } from './pod.ts';
import type { Rules } from './rules.ts';
import type { SentBefore } from './sent.ts';
import type { Look } from './sync-look.ts';
import { listOf, type PlannedFile, planDelete, refuseMassDeletion } from './sync-plan.ts';
import { listRemote } from './sync-remote.ts';
import type { Walked } from './walk.ts';

/** What is known of earlier syncs when something is to be deleted. */
export interface DeleteDesk {
  readonly sentBefore: SentBefore;
  /** By pod and target: what a dry run said would be deleted. */
  readonly previews: Map<string, string>;
}

/** What of the target `delete` takes. Throws `invalid_input` when that is much of it and no dry run has shown it. */
export async function findExtras(
  desk: DeleteDesk,
  pod: Pod,
  look: Look,
  request: SyncRequest,
  local: {
    readonly files: readonly PlannedFile[];
    readonly walked: Walked;
    readonly rules: Rules;
  },
): Promise<Extras> {
  const there = await listRemote(pod, look.real);
  const names = new Set(local.files.map((file) => file.path));
  const gone = planDelete(there, names, local.rules, local.walked.skipped);
  // What the pod made may be the only copy of it: only what came from here and nobody touched goes.
  const sent = await desk.sentBefore(pod, look.real, there, true);
  const extras = gone.filter((path) => sent.has(path));
  const key = `${request.podId}\0${look.real}`;
  if (request.dryRun) desk.previews.set(key, listOf(extras));
  else {
    refuseMassDeletion(extras, there.length, desk.previews.get(key));
    desk.previews.delete(key);
  }
  return { extras, kept: gone.filter((path) => !sent.has(path)) };
}

interface Extras {
  /** Sent from here before, untouched there since, and gone here. */
  readonly extras: readonly string[];
  /** Not here, and made or changed on the pod. */
  readonly kept: readonly string[];
}
export const NO_EXTRAS: Extras = { extras: [], kept: [] };
