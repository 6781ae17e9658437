import type { Lease } from '../core/lease.ts';
import { STAGES } from '../core/pods.ts';
import { without } from './ledger.ts';

export type Stage = (typeof STAGES)[number];
/** A rung of the readiness ladder and when it was reached. */
export interface Rung {
  readonly stage: Stage;
  readonly at: Date;
}

export function isAbove(lease: Lease, stage: Stage): boolean {
  return rankOf(lease.stage) > STAGES.indexOf(stage);
}
const rankOf = (stage: string): number => STAGES.findIndex((name) => name === stage);

/** When the lease reached a rung in its present boot, in milliseconds; `undefined`: not yet. */
export function rungAt(lease: Lease, stage: Stage): number | undefined {
  const at = lease.stages.findIndex((rung) => rung.stage === stage);
  if (at === -1) return undefined;
  const seconds = lease.stages.slice(0, at + 1).reduce((sum, rung) => sum + rung.seconds, 0);
  return bootOf(lease) + seconds * 1000;
}

export function bootOf({ bootAt, createdAt }: Lease): number {
  return Date.parse(bootAt ?? createdAt);
}

/** Seconds since the last rung was reached. */
export function secondsOnRung(lease: Lease, now: Date): number {
  const before = lease.stages.reduce((sum, { seconds }) => sum + seconds, 0);
  return Math.max(0, Math.round((now.getTime() - bootOf(lease)) / 1000 - before));
}

/** The lease as many rungs higher as are new to it, with the seconds from one to the next. Never lower. Pure. */
export function withRungs(lease: Lease, rungs: readonly Rung[]): Lease {
  let stages = [...lease.stages];
  let rank = rankOf(lease.stage);
  let at = bootOf(lease) + stages.reduce((sum, { seconds }) => sum + seconds, 0) * 1000;
  for (const rung of rungs)
    for (const stage of STAGES.slice(rank + 1, STAGES.indexOf(rung.stage) + 1)) {
      const seconds = Math.max(0, Math.round((rung.at.getTime() - at) / 100) / 10);
      stages = [...stages, { stage, seconds }];
      at += seconds * 1000;
      rank += 1;
    }
  const top = STAGES[rank];
  const ready = rungs.find(({ stage }) => stage === 'ready');
  const after = { ...lease, stages, ...(top === undefined ? {} : { stage: top }) };
  if (ready === undefined) return after;
  return { ...without(after, 'deniedSince', 'mayReplace'), readyAt: ready.at.toISOString() };
}
