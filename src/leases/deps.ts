import { type CallOptions, type Clock, timeLimit } from '../core/call.ts';
import type { Files } from '../core/files.ts';
import type { Hosts } from '../core/host.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import type { Lease } from '../core/lease.ts';
import type { Probe, Secrets, SshIdentity } from '../core/machine.ts';
import type { Providers } from '../core/provider.ts';
import type { Remote } from '../core/remote.ts';
import type { Sessions } from '../core/session.ts';
import type { Store } from '../core/store.ts';
import type { AccountBook } from './account-book.ts';
import type { Limits } from './limits.ts';
import type { Looks } from './looks.ts';

export interface PodsDeps {
  readonly store: Store;
  readonly providers: Providers;
  readonly remote: Remote;
  readonly sessions: Sessions;
  readonly jobs: Jobs;
  readonly files: Files;
  readonly identity: SshIdentity;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly limits: Limits;
  /** Knocks at a pod before anybody logs in. */
  readonly probe: Probe;
  /** Shared with whoever else looks at pods. Default: its own. */
  readonly looks?: Looks | undefined;
  /** Shared with whoever else reaches pods. Default: its own. */
  readonly accounts?: AccountBook | undefined;
  /** Default: kept in the store. */
  readonly hosts?: Hosts | undefined;
  /** Masks secrets in what is kept of a boot. */
  readonly redact?: ((text: string) => string) | undefined;
  /** Where receipts are written to. Default: they stay in the store. */
  readonly receiptsFolder?: string | undefined;
  /** This process, from `processIdOf`. Written into leases while they are being created. */
  readonly processId: string;
  /** Writes below a folder of ours, whatever the workspace is. Absent: nothing is brought home before an end without asking. */
  readonly rescue?:
    | { readonly files: Pick<Files, 'gates' | 'fetch'>; readonly folder: string }
    | undefined;
  /** Whether another process of ours watches this lease now. Default: none does. */
  readonly isLeftToOthers?: ((lease: Lease) => Promise<boolean>) | undefined;
  /** Whether a process of its own keeps the deadlines of this cloud when no server runs. Default: nobody knows of one. */
  readonly isWatched?: ((provider: ProviderName) => Promise<boolean>) | undefined;
  /** Who acts when nobody asked, for the log: "the watcher". */
  readonly actor?: (() => string) | undefined;
  /** Whether the process of that id still runs. Default: asks the system. */
  readonly isAlive?: (processId: string) => boolean;
}

/**
 * Waits for `work`, or until the caller gives up. The work itself goes on: an order that was sent stays sent, and a
 * failure nobody waits for any more is left to the next look.
 */
export async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => undefined);
  signal.throwIfAborted();
  let stop: (() => void) | undefined;
  const aborted = new Promise<never>((_resolve, reject) => {
    stop = () => {
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'));
    };
    signal.addEventListener('abort', stop, { once: true });
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    if (stop !== undefined) signal.removeEventListener('abort', stop);
  }
}

/** A signal for work that outlives the call which started it, but not its own limit. */
export function limitOf(seconds: number): AbortSignal {
  return timeLimit(seconds);
}

/** Does `work`, which is told to stop, and no longer waited for, when `seconds` of `clock` are over. */
export async function withinSeconds<T>(
  seconds: number,
  clock: Clock,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const over = new AbortController();
  const done = new AbortController();
  const watch = clock.sleep(seconds, { signal: done.signal }).then(
    () => {
      over.abort(new Error(`not done within ${seconds} seconds`));
    },
    () => undefined,
  );
  try {
    return await untilAborted(work(over.signal), over.signal);
  } finally {
    done.abort();
    await watch;
  }
}

/** Throws what failed, if anything did. */
export function throwTogether(failures: readonly unknown[]): void {
  const [first] = failures;
  if (failures.length === 1) throw first;
  if (failures.length > 1)
    throw new AggregateError(failures, 'Several leases could not be looked after.');
}

/** Every work is done or has failed; the failures are thrown together. The caller may stop waiting. */
export async function allOf<T>(
  works: readonly Promise<T>[],
  { signal }: CallOptions,
): Promise<readonly T[]> {
  const ends = await untilAborted(Promise.allSettled(works), signal);
  const failures = ends.flatMap((end): unknown[] =>
    end.status === 'rejected' ? [end.reason] : [],
  );
  throwTogether(failures);
  return ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : []));
}
