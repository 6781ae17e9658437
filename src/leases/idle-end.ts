import { count } from '../core/count.ts';
import { type Gate, NO_FILE_MATCHES } from '../core/files.ts';
import type { Lease } from '../core/lease.ts';
import { limitOf } from './deps.ts';
import { byOf, endUnasked, stopped } from './expire.ts';
import { handleOf, without } from './ledger.ts';
import type { CareDeps } from './reconcile.ts';

/** What is declared is brought home whole, or the pod stays; what came in this time is not brought again the next time. */
const SAVE_SECONDS = 300;
const GATES_SECONDS = 120;
const STOP_SECONDS = 60;

/**
 * The end of a pod that did nothing, by its own policy: stopped, or destroyed. Unlike a deadline it is never worth the only copy: a
 * pod whose declared files cannot be brought home, or cannot be seen, is kept. Answers with what was done.
 */
export async function endIdle(lease: Lease, deps: CareDeps): Promise<readonly string[]> {
  const { ledger, accounts, teardown, providers, clock, actor, limits } = deps;
  const id = handleOf(lease);
  const why = `nothing ran on it for ${count(limits.idleMinutes ?? 0, 'minute')} (GPU_LEASE_IDLE_MINUTES)`;
  if ((await accounts.strangeness(lease).catch(() => undefined)) !== undefined) return [];
  await deps.saveHome?.finish(lease, SAVE_SECONDS);
  const checkedAt = clock.now().toISOString();
  const gates = await teardown.gates(lease, { signal: limitOf(GATES_SECONDS) });
  if ((await deps.idle?.isStillIdle(lease)) !== true || (await wasChanged(lease, deps)))
    return [
      `${id}: it was to be ended, since ${why}, and is used again or cannot be seen. It is kept.`,
    ];
  const kept = gates.filter(isWorthKeeping);
  if (kept.length > 0) {
    await ledger.update(lease.leaseId, (before) => without(before, 'idle'));
    const kinds = [...new Set(kept.map(({ gate }) => gate))].join(', ');
    const text = `${why}, and it is kept: what is declared is not home (${kept.length} open: ${kinds}).`;
    await ledger.note('idle_kept', lease, text);
    return [`${id}: ${text}`];
  }
  if (lease.mayReplace === true) await ledger.settleForGood(lease);
  const power = providers.get(lease.provider)?.power;
  if (lease.terms.onExpiry === 'stop' && power !== undefined && lease.podId !== undefined) {
    await power.stopPod(lease.podId, { signal: limitOf(STOP_SECONDS) });
    await ledger.update(lease.leaseId, (before) => stopped(without(before, 'idle'), clock));
    await ledger.note('expired', lease, `Stopped${byOf(actor)}: ${why}.`);
    return [`${id}: stopped, ${why}.`];
  }
  return endUnasked(lease, { why, gates, checkedAt, ending: { why } }, deps);
}

/** What was never written, and what is home as broken as it is there, is not lost with the pod. */
const isWorthKeeping = ({ gate, why }: Gate): boolean =>
  gate !== 'artifact_broken' && !why.includes(NO_FILE_MATCHES);

async function wasChanged(lease: Lease, { ledger }: CareDeps): Promise<boolean> {
  const { state, deadlineAt, stoppedAt } = await ledger.fresh(lease);
  return state !== lease.state || deadlineAt !== lease.deadlineAt || stoppedAt !== lease.stoppedAt;
}
