import { MessageChannel } from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { InputError, RemoteError } from '../../../src/core/errors.ts';
import type { FetchResult, Files, SyncResult } from '../../../src/core/files.ts';
import { podIdSchema } from '../../../src/core/ids.ts';
import { type SshEndpoint, sshEndpointSchema } from '../../../src/core/machine.ts';
import { type Server, serveTransfers, type Work } from '../../../src/transfer/serve.ts';
import type { Thread } from '../../../src/transfer/thread.ts';
import { createTransfers, type Transfers } from '../../../src/transfer/transfers.ts';
import { jobsOf } from '../files/harness.ts';

const podId = podIdSchema.parse('ssh:here');
const options = { signal: AbortSignal.timeout(60_000) };
const REQUEST = {
  podId,
  localPath: 'a',
  remotePath: 'b',
  include: [],
  exclude: [],
  delete: false,
  dryRun: false,
  allowSecrets: [],
};
const RESULT: SyncResult = {
  podId,
  remotePath: '/b',
  sent: { files: 1, bytes: 2 },
  unchanged: { files: 0, bytes: 0 },
  deleted: [],
  skipped: [],
  skippedCount: 0,
  wireBytes: 2,
  seconds: 0.1,
  verified: true,
  dryRun: false,
};
const ENDPOINT: SshEndpoint = sshEndpointSchema.parse({
  podId,
  host: '127.0.0.1',
  port: 22,
  user: 'me',
  route: 'direct',
});

interface FakeThread extends Thread {
  isHeld: boolean;
  hasEnded: boolean;
  closed: number;
  die(why: string): void;
}

type Sync = Files['sync'];
const opened: Transfers[] = [];
afterEach(async () => {
  for (const one of opened.splice(0)) await one[Symbol.asyncDispose]();
});

/** Transfers whose threads are the far ends of lines; `sync` is what thread number `at` does. */
function bench(
  sync: (server: Server, at: number) => Sync,
  {
    isMute = () => false,
    idleSeconds = 60,
    fetch = async () => Promise.reject(new Error('unused')),
  }: { isMute?: (at: number) => boolean; idleSeconds?: number; fetch?: Files['fetch'] } = {},
): { transfers: Transfers; threads: FakeThread[] } {
  const threads: FakeThread[] = [];
  const start = (): Thread => {
    const { port1, port2 } = new MessageChannel();
    let end: (why: Error) => void = () => undefined;
    const ended = new Promise<Error>((resolve) => {
      end = resolve;
    });
    const at = threads.length;
    const thread: FakeThread = {
      port: port1,
      ended,
      isHeld: false,
      hasEnded: false,
      closed: 0,
      hold(isHeld) {
        thread.isHeld = isHeld;
      },
      die(why) {
        thread.hasEnded = true;
        port1.close();
        end(new Error(why));
      },
      async end() {
        thread.die('it was ended');
        return Promise.resolve();
      },
    };
    threads.push(thread);
    if (!isMute(at))
      serveTransfers(
        port2,
        (server): Work => ({
          files: { sync: sync(server, at), fetch },
          disconnect: async () => Promise.resolve(),
          [Symbol.asyncDispose]: async () => {
            thread.closed += 1;
            return Promise.resolve();
          },
        }),
      );
    return thread;
  };
  const transfers = createTransfers({
    start,
    machines: {
      endpoint: async (asked, { moved }) =>
        asked === podId
          ? Promise.resolve({ ...ENDPOINT, port: moved === true ? 23 : 22 })
          : Promise.reject(new InputError('not_found', 'There is no such pod.')),
    },
    jobs: jobsOf(() => []),
    gates: async () => Promise.resolve([]),
    idleSeconds,
  });
  opened.push(transfers);
  return { transfers, threads };
}

describe('transfers in a thread of their own', () => {
  it('no thread before the first transfer; one for all that follow', async () => {
    const { transfers, threads } = bench(() => async () => Promise.resolve(RESULT));
    await transfers.gates(podId, options);
    await transfers.disconnect(podId);
    expect(threads).toHaveLength(0);
    const results = await Promise.all([1, 2, 3].map(async () => transfers.sync(REQUEST, options)));
    expect(results).toEqual([RESULT, RESULT, RESULT]);
    await transfers.sync(REQUEST, options);
    expect(threads).toHaveLength(1);
  });

  it('it holds the process only while something is under way', async () => {
    let heldDuring = false;
    const { transfers, threads } = bench(() => async () => {
      heldDuring = threads[0]?.isHeld === true;
      return Promise.resolve(RESULT);
    });
    await transfers.sync(REQUEST, options);
    expect(heldDuring).toBe(true);
    expect(threads[0]?.isHeld).toBe(false);
  });

  it('the thread asks the server for addresses and jobs; errors of the server reach the caller', async () => {
    const { transfers } = bench((server) => async ({ remotePath }, call) => {
      const other = podIdSchema.parse('ssh:other');
      const asked = remotePath === 'other' ? other : podId;
      const first = await server.machines.endpoint(asked, call);
      const moved = await server.machines.endpoint(asked, { ...call, moved: true });
      const jobs = [
        ...(await server.jobs.list(podId)),
        ...(await server.jobs.refresh(podId, call)),
      ];
      return { ...RESULT, remotePath: `${first.port} ${moved.port} ${jobs.length}` };
    });
    expect(await transfers.sync(REQUEST, options)).toMatchObject({ remotePath: '22 23 0' });
    await expect(
      transfers.sync({ ...REQUEST, remotePath: 'other' }, options),
    ).rejects.toMatchObject({ code: 'not_found', message: 'There is no such pod.' });
  });

  it('a thread that dies fails the calls it had begun, and the next call starts another', async () => {
    const { transfers, threads } = bench((_server, at) => async (_request, call) => {
      if (at > 0) return Promise.resolve(RESULT);
      call.progress?.('begun');
      return new Promise<SyncResult>(() => undefined);
    });
    const progress = (): void => threads[0]?.die('out of memory');
    await expect(transfers.sync(REQUEST, { ...options, progress })).rejects.toMatchObject({
      code: 'internal',
      hint: expect.stringContaining('Call again') as string,
      cause: { message: 'out of memory' },
    });
    expect(await transfers.sync(REQUEST, options)).toEqual(RESULT);
    expect(threads).toHaveLength(2);
  });

  it('a call that no thread had begun is made once more, and only once', async () => {
    const mute = { isMute: (at: number) => at === 0 };
    const { transfers, threads } = bench(() => async () => Promise.resolve(RESULT), mute);
    const call = transfers.sync(REQUEST, options);
    threads[0]?.die('it did not start');
    expect(await call).toEqual(RESULT);
    expect(threads).toHaveLength(2);

    const never = bench(() => async () => Promise.resolve(RESULT), { isMute: () => true });
    const failing = never.transfers.sync(REQUEST, options);
    never.threads[0]?.die('it did not start');
    await vi.waitFor(() => {
      expect(never.threads).toHaveLength(2);
    });
    never.threads[1]?.die('nor did this one');
    await expect(failing).rejects.toMatchObject({ code: 'internal' });
    expect(never.threads).toHaveLength(2);
  });

  it('an error of the work leaves the thread alive', async () => {
    const { transfers, threads } = bench(
      () =>
        async ({ remotePath }) =>
          remotePath === 'bad'
            ? Promise.reject(new RemoteError('disk_full', 'It is full.'))
            : Promise.resolve(RESULT),
    );
    await expect(transfers.sync({ ...REQUEST, remotePath: 'bad' }, options)).rejects.toMatchObject({
      code: 'disk_full',
    });
    expect(await transfers.sync(REQUEST, options)).toEqual(RESULT);
    expect(threads).toHaveLength(1);
  });

  it('it ends after a rest, closed in order, and the next transfer has a new one', async () => {
    const work = async (): Promise<SyncResult> => Promise.resolve(RESULT);
    const { transfers, threads } = bench(() => work, { idleSeconds: 0.05 });
    await transfers.sync(REQUEST, options);
    await vi.waitFor(() => {
      expect(threads[0]).toMatchObject({ hasEnded: true, closed: 1 });
    });
    expect(await transfers.sync(REQUEST, options)).toEqual(RESULT);
    expect(threads).toHaveLength(2);
  });

  it('it does not end while a transfer is under way, however long', async () => {
    let release: (result: SyncResult) => void = () => undefined;
    const { transfers, threads } = bench(
      () =>
        async ({ remotePath }) =>
          remotePath === 'slow'
            ? new Promise<SyncResult>((resolve) => {
                release = resolve;
              })
            : Promise.resolve(RESULT),
      { idleSeconds: 0.03 },
    );
    const slow = transfers.sync({ ...REQUEST, remotePath: 'slow' }, options);
    await transfers.sync(REQUEST, options);
    // Three rests of another bench pass meanwhile.
    const other = bench(() => async () => Promise.resolve(RESULT), { idleSeconds: 0.1 });
    await other.transfers.sync(REQUEST, options);
    await vi.waitFor(() => {
      expect(other.threads[0]?.hasEnded).toBe(true);
    });
    expect(threads[0]?.hasEnded).toBe(false);
    release(RESULT);
    expect(await slow).toEqual(RESULT);
  });

  it('a thread that hangs holds up neither the end of a pod nor that of the app', async () => {
    const { transfers, threads } = bench(() => async () => Promise.resolve(RESULT), {
      isMute: () => true,
    });
    const failure = transfers.sync(REQUEST, options).catch((thrown: unknown) => thrown);
    await transfers.disconnect(podId);
    expect(threads[0]?.hasEnded).toBe(false);
    await transfers[Symbol.asyncDispose]();
    expect(threads[0]?.hasEnded).toBe(true);
    expect(await failure).toMatchObject({ code: 'cancelled' });
  }, 15_000);

  it('the end of the app ends it: what is under way is cancelled, what comes later too', async () => {
    const { transfers, threads } = bench(
      () => async () => new Promise<SyncResult>(() => undefined),
    );
    const call = transfers.sync(REQUEST, options);
    const failure = call.catch((thrown: unknown) => thrown);
    await transfers[Symbol.asyncDispose]();
    expect(await failure).toMatchObject({ code: 'cancelled' });
    expect(threads[0]).toMatchObject({ hasEnded: true, closed: 1 });
    await expect(transfers.sync(REQUEST, options)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

it('what a fetch refused comes out of the thread as it went in', async () => {
  const why = 'It is a link.';
  const result: FetchResult = {
    podId,
    manifest: { root: '/b', files: [], totalFiles: 0, totalBytes: 0 },
    missing: [],
    leftOnPod: [],
    left: 0,
    refused: [{ path: 'a', why }],
    refusals: [{ why, count: 1, holdsData: true }],
    dryRun: false,
  };
  const { transfers } = bench(() => async () => Promise.resolve(RESULT), {
    fetch: async () => Promise.resolve(result),
  });
  const request = { podId, paths: ['a'], localPath: 'a', exclude: [], verify: 'load' } as const;
  expect(await transfers.fetch({ ...request, strict: false, dryRun: false }, options)).toEqual(
    result,
  );
});
