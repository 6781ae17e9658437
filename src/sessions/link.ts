import type { CallOptions } from '../core/call.ts';
import { isAppError, RemoteError } from '../core/errors.ts';
import type { PodId } from '../core/ids.ts';
import { KeyedLock } from '../core/keyed-lock.ts';
import type { Remote } from '../core/remote.ts';
import type { SessionRecord, SessionState } from '../core/session.ts';
import { wasSilence } from './connect-failure.ts';
import { createFeed, type Feed, type Listener } from './feed.ts';
import { IDLE_SECONDS } from './idle.ts';
import { lookScript } from './pod-script/talk.ts';
import type { Runs } from './runs.ts';
import { within } from './wait.ts';

const LOOK_SECONDS = 20;
const SOON_SECONDS = 6;
/** Less than one connection's worth. */
const KEPT_FEEDS = 6;

/** One look at a session on its pod. */
export interface Look {
  readonly state: Exclude<SessionState, 'unreachable'>;
  readonly folderGone: boolean;
  readonly runningCommandId: string | undefined;
  readonly exitCode: number | undefined;
  /** Bytes of the transcript so far. */
  readonly size: number;
  /** Bytes before this are no longer kept; `bytes` starts no earlier. */
  readonly keptFrom: number;
  readonly key: string;
  /** Where the shell is now, where the machine tells. */
  readonly cwd: string | undefined;
  readonly bytes: Buffer;
}

/** Whether this failure says only that we cannot look now, and nothing about the pod. */
export function isUnreachable(failure: unknown): boolean {
  return (
    isAppError(failure) &&
    (failure.code === 'ssh_unreachable' ||
      failure.code === 'link_lost' ||
      failure.code === 'pod_not_ready')
  );
}

/** Tries what is safe to repeat once more over a new connection, unless nobody answered there at all. */
export async function again<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (failure) {
    if (!isUnreachable(failure) || wasSilence(failure)) throw failure;
    return work();
  }
}

export interface Link {
  look(
    record: SessionRecord,
    offset: number,
    maxBytes: number,
    options: CallOptions,
  ): Promise<Look>;
  /** Listens from `offset` on; one feed for each session, made when it is first needed. The result ends it. */
  listen(
    record: SessionRecord,
    offset: number,
    listener: Listener,
    options: CallOptions,
  ): Promise<() => void>;
  /** End of the transcript as far as it was followed; undefined where nobody follows. */
  seenTo(sessionId: string): number | undefined;
  stop(sessionId: string): void;
  stopAll(): void;
}

export function createLink({
  remote,
  runs,
  idleSeconds = IDLE_SECONDS,
}: {
  readonly remote: Remote;
  readonly runs: Runs;
  readonly idleSeconds?: number | undefined;
}): Link {
  const feeds = new Map<string, Promise<Feed>>();
  const followed = new Map<string, Feed>();

  /** Followed while nobody listens, the oldest first. */
  const unheard = new Map<string, PodId>();
  /** Each takes a channel of the machine: only so many are kept for the next call. */
  const keepSome = ({ sessionId, podId }: SessionRecord): void => {
    unheard.delete(sessionId);
    unheard.set(sessionId, podId);
    const ofPod = [...unheard].filter(([, pod]) => pod === podId);
    for (const [oldest] of ofPod.slice(0, Math.max(0, ofPod.length - KEPT_FEEDS))) {
      unheard.delete(oldest);
      end(oldest);
    }
  };
  const end = (sessionId: string): void => {
    void feeds.get(sessionId)?.then(
      (feed) => {
        feed.stop();
      },
      () => undefined,
    );
    feeds.delete(sessionId);
    followed.delete(sessionId);
  };

  const making = new KeyedLock();
  const feedOf = async (
    { sessionId, podId, folder }: SessionRecord,
    offset: number,
  ): Promise<Feed> =>
    making.run(sessionId, async () => {
      const known = await feeds.get(sessionId)?.catch(() => undefined);
      if (known?.covers(offset) === true) return known;
      // Whoever still listens to the old one keeps it.
      known?.retire();
      const made = makeFeed(podId, folder, offset);
      feeds.set(sessionId, made);
      followed.set(sessionId, await made);
      return made;
    });
  const makeFeed = async (podId: PodId, folder: string, offset: number): Promise<Feed> =>
    again(async () =>
      createFeed(runs, podId, folder, offset, idleSeconds, {
        signal: new AbortController().signal,
      }),
    );

  return {
    async look({ podId, folder }, offset, maxBytes, options) {
      const { stdout } = await again(async () =>
        remote.exec(podId, lookScript(folder, offset, maxBytes), {
          ...options,
          timeoutSeconds: LOOK_SECONDS,
          maxBytes: maxBytes + 8192,
        }),
      );
      const at = stdout.indexOf(0x0a);
      const [state = '', run = '-', code = '-', size = '0', key = '-', base = '0', ...cwd] = stdout
        .toString('utf8', 0, Math.max(0, at))
        .split(' ');
      if (at < 0 || !/^(?:idle|busy|closed|lost|gone)$/.test(state))
        throw new RemoteError('remote_failed', 'The pod did not say how the session is.');
      return {
        state: state === 'idle' || state === 'busy' || state === 'closed' ? state : 'lost',
        folderGone: state === 'gone',
        runningCommandId: run === '-' ? undefined : run,
        exitCode: /^\d+$/.test(code) ? Number(code) : undefined,
        size: Number(size),
        keptFrom: Number(base),
        key,
        cwd: cwd.length > 0 && cwd[0] !== '' ? cwd.join(' ') : undefined,
        bytes: stdout.subarray(at + 1),
      };
    },
    async listen(record, offset, listener) {
      const feed = await feedOf(record, offset);
      unheard.delete(record.sessionId);
      const stop = feed.listen(offset, listener);
      return () => {
        stop();
        if (feed.alive && !feed.isHeard) keepSome(record);
      };
    },
    seenTo(sessionId) {
      const feed = followed.get(sessionId);
      return feed?.alive === true ? feed.end : undefined;
    },
    stop(sessionId) {
      unheard.delete(sessionId);
      end(sessionId);
    },
    stopAll() {
      for (const sessionId of [...feeds.keys()]) this.stop(sessionId);
    },
  };
}

/** Whether and how the session is there, for a caller with a limit of its own. Throws `ssh_unreachable` in time. */
export async function lookSoon(
  link: Link,
  record: SessionRecord,
  options: CallOptions,
): Promise<Look> {
  return within(
    SOON_SECONDS,
    options,
    async (given) => link.look(record, 0, 0, given),
    () => new RemoteError('ssh_unreachable', 'The machine does not answer.'),
  );
}
