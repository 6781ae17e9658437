import type { CallOptions, Clock } from '../core/call.ts';
import { isAppError } from '../core/errors.ts';
import type { Pods } from '../core/pods.ts';
import type { Store } from '../core/store.ts';
import type { WatchEnd, Watcher, WatchRound, WatchWay } from '../core/watcher.ts';
import type { WatchLock } from './lock.ts';
import { isCaredFor } from './needs.ts';

/** Twice in the time that a pod is given before its deadline to say farewell. */
const EVERY_SECONDS = 10;
/** However long a round took. */
const LEAST_PAUSE_SECONDS = 1;
const BEAT_SECONDS = 5;
/** One pod that is not heard, or a cloud that does not answer, must not keep the others from being looked after. */
const PATIENCE = { patienceSeconds: 5 };
/** How long the last lease is over before a watcher in the background ends. */
const IDLE_SECONDS = 60;

export interface KeepDeps {
  readonly store: Store;
  readonly clock: Clock;
  readonly lock: WatchLock;
  readonly pods: Pick<Pods, 'reconcile' | 'tend' | 'enforce'>;
}

/** The rounds of a watcher: beats between them, ends when its epoch is over. */
export function createKeep({ store, clock, lock, pods }: KeepDeps): Watcher['watch'] {
  /** Beats until it is over; a store that cannot be written to says nothing about who holds the lock. */
  async function beats(over: AbortController): Promise<void> {
    const { signal } = over;
    for (;;) {
      await clock.sleep(BEAT_SECONDS, { signal });
      if (!(await lock.beat().catch(() => true))) over.abort(new Error('lost'));
    }
  }

  async function round(way: WatchWay, { signal }: CallOptions): Promise<WatchRound> {
    const at = clock.now().toISOString();
    // A repair that fails must not keep deadlines from being enforced.
    const options = { signal, ...(way === 'once' ? {} : PATIENCE) };
    const [repair] = await Promise.allSettled([pods.reconcile(options)]);
    // Replacing a pod may take minutes; deadlines do not wait for it, but a single round does.
    const care = pods.tend?.({ signal }) ?? Promise.resolve();
    care.catch(() => undefined);
    const [enforced] = await Promise.allSettled([pods.enforce(options)]);
    const cared = way === 'once' ? await Promise.allSettled([care]) : [];
    const failed = [repair, enforced, ...cared].find(({ status }) => status === 'rejected');
    return {
      at,
      actions: enforced.status === 'fulfilled' ? enforced.value : [],
      ...(failed?.status === 'rejected' ? { failure: failed.reason } : {}),
    };
  }

  async function hold(
    { way, onHold, onRound }: Parameters<Watcher['watch']>[0],
    options: CallOptions,
  ): Promise<WatchEnd> {
    const over = new AbortController();
    const signal = AbortSignal.any([options.signal, over.signal]);
    const beating = beats(over).catch(() => undefined);
    let idleSince: Date | undefined;
    onHold?.();
    try {
      for (;;) {
        const begun = clock.now().getTime();
        if (!(await lock.beat())) return { kind: 'lost', by: await lock.holder() };
        const done = await round(way, { signal });
        await lock.beat({ roundAt: clock.now().toISOString() }, done.actions);
        // What the end itself broke off is no trouble; what was done is told.
        if (!signal.aborted) await onRound(done);
        else if (done.actions.length > 0) await onRound({ at: done.at, actions: done.actions });
        if (way === 'once') return { kind: 'ended', isFine: done.failure === undefined };
        if (way === 'background') {
          const isIdle = !(await store.leases.list()).some(isCaredFor);
          idleSince = isIdle ? (idleSince ?? clock.now()) : undefined;
          if (idleSince !== undefined && isOver(idleSince) && (await lock.release(idleSince)))
            return { kind: 'ended', isFine: true };
        }
        await clock.sleep(pauseAfter(begun), { signal });
      }
    } catch (failure) {
      if (options.signal.aborted) return { kind: 'ended', isFine: true };
      if (over.signal.aborted || (isAppError(failure) && failure.code === 'watch_lost'))
        return { kind: 'lost', by: await lock.holder() };
      throw failure;
    } finally {
      over.abort(new Error('ended'));
      await beating;
      await lock.release().catch(() => false);
    }
  }
  /** A round that waited for somebody puts the next one off no further. */
  function pauseAfter(begun: number): number {
    const left = EVERY_SECONDS - (clock.now().getTime() - begun) / 1000;
    return Math.min(EVERY_SECONDS, Math.max(LEAST_PAUSE_SECONDS, left));
  }
  const isOver = (since: Date): boolean =>
    clock.now().getTime() - since.getTime() >= IDLE_SECONDS * 1000;

  return async (request, options) => {
    let { over } = request;
    for (;;) {
      const by = await lock.take(request.way, over);
      over = undefined;
      const end: WatchEnd = by === undefined ? await hold(request, options) : { kind: 'held', by };
      if (end.kind === 'ended' || request.waits !== true) return end;
      try {
        await clock.sleep(EVERY_SECONDS, options);
      } catch {
        return { kind: 'ended', isFine: true };
      }
    }
  };
}
