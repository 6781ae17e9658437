import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BuiltServer, listAt, type sandbox, textAt } from '../support/built-server.ts';
import { startVastSandbox, type VastSandbox } from '../support/vast-sandbox.ts';
import {
  residentMb,
  until,
  watchedSandbox,
  watchersOf,
  watchRecord,
} from '../support/watcher-process.ts';

type Box = Awaited<ReturnType<typeof sandbox>>;
const GRACE_SECONDS = 30;

const serverOf = async (box: Box, cloud: VastSandbox): Promise<BuiltServer> =>
  BuiltServer.start({
    home: box.home,
    workspace: box.workspace,
    env: { VAST_API_KEY: cloud.apiKey, VAST_URL: cloud.url, GPU_LEASE_WATCHER: 'on' },
  });

/** Rents one machine that nobody can log in to. */
async function rent(server: BuiltServer, ttlMinutes: number, nth = 0): Promise<string> {
  const search = { vastQuery: 'verified=any direct_port_count>=1', minReliability: 0 };
  const found = await server.call('find_offer', { providers: ['vast'], ...search });
  const offerId = textAt(found, `offers.${nth}.offerId`);
  const terms = { offerId, ttlMinutes, diskGb: 16, waitSeconds: 0, maxAttempts: 1 };
  const quoted = await server.call('create_pod', terms);
  const made = await server.call('create_pod', {
    ...terms,
    quoteId: textAt(quoted, 'quote.quoteId'),
  });
  return textAt(made, 'pod.podId');
}

const billing = (cloud: VastSandbox): number => cloud.books().billingCount;

describe.concurrent('the watcher is a process of its own', () => {
  it('the server and its client are killed: the meter stops by the deadline all the same', async () => {
    await using cloud = await startVastSandbox({ machines: 'none' });
    await using box = await watchedSandbox();
    const server = await serverOf(box, cloud);
    expect(await watchersOf(box.home)).toEqual([]);
    const rentedAt = Date.now();
    const podId = await rent(server, 1);
    await server.kill9();
    const [pid = 0] = await until(
      15,
      async () => watchersOf(box.home),
      ({ length }) => length === 1,
    );
    const record = await until(
      20,
      async () => watchRecord(box.home),
      (seen) => seen !== undefined,
    );
    expect(record).toMatchObject({ pid, way: 'background', epoch: 1 });
    expect(await residentMb(pid)).toBeLessThan(160);
    // It has no key in its arguments, and no folder of ours in use.
    expect(await readFile(`/proc/${pid}/cmdline`, 'latin1')).not.toContain(cloud.apiKey);
    expect(billing(cloud)).toBe(1);

    await until(
      60 + GRACE_SECONDS,
      async () => Promise.resolve(billing(cloud)),
      (count) => count === 0,
    );
    expect((Date.now() - rentedAt) / 1000).toBeLessThan(60 + GRACE_SECONDS);
    const log = path.join(box.home, 'watcher.log');
    await until(
      30,
      async () => readFile(log, 'utf8').catch(() => ''),
      (text) => text.includes('destroyed'),
    );
    expect((await stat(log)).mode & 0o777).toBe(0o600);
    expect(await readFile(log, 'utf8')).not.toContain(cloud.apiKey);

    await using next = await serverOf(box, cloud);
    const listed = await next.call('list_pods', { includeEnded: true });
    expect(listed['summary']).toContain(`Done by the watcher: `);
    expect(listed['summary']).toContain(`${podId}: destroyed`);
    const report = await next.call('report', { podId });
    expect(JSON.stringify(report['destroyed'])).toContain('Destroyed by the watcher');
    // Nothing is left: it ends.
    await until(
      90,
      async () => watchersOf(box.home),
      ({ length }) => length === 0,
    );
    expect(await watchRecord(box.home)).toHaveProperty('endedAt');
  });

  it('two servers: one watcher; it crashes: a server starts the next one; it is frozen: its time is over', async () => {
    await using cloud = await startVastSandbox({ machines: 'none' });
    await using box = await watchedSandbox();
    await using first = await serverOf(box, cloud);
    await using second = await serverOf(box, cloud);
    await Promise.all([rent(first, 60), rent(second, 60, 1)]);
    const one = await until(
      20,
      async () => watchRecord(box.home),
      (seen) => seen !== undefined,
    );
    await until(
      20,
      async () => watchersOf(box.home),
      ({ length }) => length === 1,
    );

    process.kill(one?.pid ?? 0, 'SIGKILL');
    const two = await until(
      60,
      async () => watchRecord(box.home),
      (seen) => seen !== undefined && seen.pid !== one?.pid,
    );
    expect(two?.epoch).toBe((one?.epoch ?? 0) + 1);
    const listed = await first.call('list_pods');
    expect(listed['summary']).toContain(`The watcher (process ${two?.pid ?? ''}, background`);
    expect(listAt(listed, 'pods')).toHaveLength(2);

    process.kill(two?.pid ?? 0, 'SIGSTOP');
    const three = await until(
      90,
      async () => watchRecord(box.home),
      (seen) => seen !== undefined && seen.pid !== two?.pid,
    );
    process.kill(two?.pid ?? 0, 'SIGCONT');
    await until(
      30,
      async () => watchersOf(box.home),
      (pids) => pids.join() === String(three?.pid),
    );
    expect(await watchRecord(box.home)).toMatchObject({ pid: three?.pid, epoch: three?.epoch });
    expect(billing(cloud)).toBe(2);
  });

  it('what was declared and not fetched is home before the pod is destroyed', async () => {
    await using cloud = await startVastSandbox();
    await using box = await watchedSandbox();
    const server = await serverOf(box, cloud);
    const podId = await rent(server, 2);
    const got = await server.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
    expect(got).toMatchObject({ reached: true });
    const started = await server.call('job_start', {
      podId,
      command: 'echo "[1, 2]" > result.json',
      artifacts: ['result.json'],
    });
    const jobId = textAt(started, 'jobId');
    await server.call('job_wait', { jobId, waitSeconds: 25 });
    await until(
      20,
      async () => watchersOf(box.home),
      ({ length }) => length === 1,
    );
    await server.kill9();
    await until(
      150,
      async () => Promise.resolve(billing(cloud)),
      (count) => count === 0,
    );

    const rescued = path.join(box.home, 'rescued', podId.replace(':', '-'), jobId, 'result.json');
    expect(await readFile(rescued, 'utf8')).toBe('[1, 2]\n');
    await using next = await serverOf(box, cloud);
    const report = await next.call('report', { podId });
    expect(report).toMatchObject({ filesHome: [{ localPath: rescued }], filesMissing: [] });
    expect(report['waiver']).toBeUndefined();
  });

  it('free pods start none, and neither does a person who does not want one', async () => {
    await using cloud = await startVastSandbox({ machines: 'none' });
    await using box = await watchedSandbox();
    await using server = await BuiltServer.start({
      home: box.home,
      workspace: box.workspace,
      env: { VAST_API_KEY: cloud.apiKey, VAST_URL: cloud.url, GPU_LEASE_WATCHER: 'off' },
    });
    await rent(server, 60);
    const listed = await server.call('list_pods');
    expect(listed['summary']).toContain('The watcher is off (GPU_LEASE_WATCHER)');
    const found = await server.call('doctor');
    expect(JSON.stringify(found['missing'])).toContain('The watcher is off');
    expect(await watchersOf(box.home)).toEqual([]);
    expect(await watchRecord(box.home)).toBeUndefined();
  });
});
