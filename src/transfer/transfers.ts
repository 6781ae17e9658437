import type { CallOptions } from '../core/call.ts';
import { CancelledError, InternalError } from '../core/errors.ts';
import type { Files } from '../core/files.ts';
import type { PodId } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import type { Machines } from '../core/machine.ts';
import { CLOSE, DISCONNECT, ENDPOINT, FETCH, JOB, JOBS, REFRESH, SYNC } from './methods.ts';
import { createPeer, handlerOf, type Method, type Peer, PeerGoneError } from './peer.ts';
import type { Thread } from './thread.ts';

const IDLE_SECONDS = 180;
/** The server itself is given five. */
const CLOSE_SECONDS = 2;

export interface TransferDeps {
  readonly start: () => Thread;
  readonly machines: Machines;
  readonly jobs: Pick<Jobs, 'get' | 'list' | 'refresh'>;
  /** Small reads stay with the server. */
  readonly gates: Files['gates'];
  /** The thread is ended when it had nothing to do for this long. Default 180. */
  readonly idleSeconds?: number | undefined;
}
export interface Transfers extends Files, AsyncDisposable {
  /** Hangs up the connections of the thread to the pod. */
  disconnect(podId: PodId): Promise<void>;
}

interface Live {
  readonly thread: Thread;
  readonly peer: Peer;
  calls: number;
  /** Counts the calls, so that a rest is known from the next one. */
  begun: number;
}

/**
 * `sync` and `fetch` in one thread of their own, with connections of their own: bulk never holds up a session, nor the
 * server's event loop. The thread starts with the first call and ends after a rest. One that dies fails its calls with
 * `internal`, except those it had not begun, which the next one takes.
 */
export function createTransfers(deps: TransferDeps): Transfers {
  const { machines, jobs } = deps;
  let live: Live | undefined;
  let isClosed = false;
  const handlers = [
    handlerOf(ENDPOINT, async ({ podId, moved }, { signal }) =>
      machines.endpoint(podId, { signal, ...(moved ? { moved } : {}) }),
    ),
    handlerOf(JOB, async ({ jobId }) => jobs.get(jobId)),
    handlerOf(JOBS, async ({ podId }) => [...(await jobs.list(podId))]),
    handlerOf(REFRESH, async ({ podId }, options) => [...(await jobs.refresh(podId, options))]),
  ];

  function open(): Live {
    const thread = deps.start();
    const made: Live = { thread, peer: createPeer(thread.port, handlers), calls: 0, begun: 0 };
    void thread.ended.then((cause) => {
      if (live === made) live = undefined;
      made.peer.gone(cause);
    });
    return made;
  }

  async function close(old: Live): Promise<void> {
    if (live === old) live = undefined;
    await shortly(old.peer.call(CLOSE, undefined, { signal: new AbortController().signal }));
    await old.thread.end();
  }

  function rest(resting: Live): void {
    const { begun } = resting;
    const idle = AbortSignal.timeout((deps.idleSeconds ?? IDLE_SECONDS) * 1000);
    idle.addEventListener('abort', () => {
      if (live === resting && resting.begun === begun) void close(resting);
    });
  }

  async function attempt<Args, Result>(
    method: Method<Args, Result>,
    args: Args,
    options: CallOptions,
  ): Promise<Result> {
    if (isClosed) throw ending();
    const used = (live ??= open());
    used.calls += 1;
    used.begun += 1;
    used.thread.hold(true);
    try {
      return await used.peer.call(method, args, options);
    } finally {
      used.calls -= 1;
      if (used.calls === 0 && live === used) {
        used.thread.hold(false);
        rest(used);
      }
    }
  }

  async function run<Args, Result>(
    method: Method<Args, Result>,
    args: Args,
    options: CallOptions,
  ): Promise<Result> {
    try {
      return await attempt(method, args, options).catch(async (failure: unknown) => {
        if (!(failure instanceof PeerGoneError) || failure.begun || isClosed) throw failure;
        return attempt(method, args, options);
      });
    } catch (failure) {
      if (!(failure instanceof PeerGoneError)) throw failure;
      if (isClosed) throw ending();
      throw new InternalError('internal', 'The thread that moves files ended during this call.', {
        cause: failure.cause,
        hint: 'Call again: what has arrived is kept, and what is half there is not taken for whole. If it happens again, move fewer files at once and report it.',
      });
    }
  }

  return {
    sync: async (request, options) =>
      run(
        SYNC,
        {
          ...request,
          include: [...request.include],
          exclude: [...request.exclude],
          allowSecrets: [...request.allowSecrets],
        },
        options,
      ),
    fetch: async (request, options) =>
      run(FETCH, { ...request, paths: [...request.paths], exclude: [...request.exclude] }, options),
    gates: deps.gates,
    async disconnect(podId) {
      const { signal } = new AbortController();
      if (live !== undefined) await shortly(live.peer.call(DISCONNECT, { podId }, { signal }));
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      if (live !== undefined) await close(live);
    },
  };
}

/** Who ends a pod or the server does not wait for a thread that hangs; one that ends meanwhile has hung up. */
async function shortly(work: Promise<unknown>): Promise<void> {
  const limit = AbortSignal.timeout(CLOSE_SECONDS * 1000);
  const late = new Promise<void>((resolve) => {
    limit.addEventListener('abort', () => {
      resolve();
    });
  });
  await Promise.race([work.catch(() => undefined), late]);
}

function ending(): CancelledError {
  return new CancelledError('cancelled', 'The server is ending.');
}
