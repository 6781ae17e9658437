import type { CallOptions, Clock } from '../core/call.ts';
import type { PodId } from '../core/ids.ts';
import type { Lease } from '../core/lease.ts';
import { withinSeconds } from './deps.ts';

/** So long it may take a machine to say anything at all. */
export const HEARD_SECONDS = 10;

/** Whether the pod answers now. Never throws. */
export type HearPod = (podId: PodId, options: CallOptions) => Promise<boolean>;

/** Whether the pod of a lease answers. One that was never ready, or that nobody can ask, is taken to. Never throws. */
export async function isHeard(
  { podId, readyAt }: Lease,
  { clock, isHeard: ask }: { readonly clock: Clock; readonly isHeard?: HearPod | undefined },
): Promise<boolean> {
  if (podId === undefined || readyAt === undefined || ask === undefined) return true;
  return withinSeconds(HEARD_SECONDS, clock, async (signal) => ask(podId, { signal })).catch(
    () => false,
  );
}
