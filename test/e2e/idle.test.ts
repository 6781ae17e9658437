import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { sealedReceiptSchema } from '../../src/core/receipt.ts';
import { BuiltServer, textAt } from '../support/built-server.ts';
import { startVastSandbox } from '../support/vast-sandbox.ts';
import { until, watchedSandbox } from '../support/watcher-process.ts';

it('with the server dead the watcher ends the pod that does nothing, its result home, and keeps the one whose session works [CO-04] [L-33]', async () => {
  await using cloud = await startVastSandbox();
  await using box = await watchedSandbox();
  const env = {
    VAST_API_KEY: cloud.apiKey,
    VAST_URL: cloud.url,
    GPU_LEASE_WATCHER: 'on',
    GPU_LEASE_IDLE_MINUTES: '0.4',
    GPU_LEASE_AUTO_APPROVE_USD: '100',
  };
  await using server = await BuiltServer.start({ home: box.home, workspace: box.workspace, env });
  const rent = async (nth: number): Promise<string> => {
    const search = { vastQuery: 'verified=any direct_port_count>=1', minReliability: 0 };
    const found = await server.call('find_offer', { providers: ['vast'], ...search });
    const offerId = textAt(found, `offers.${nth}.offerId`);
    const terms = { offerId, ttlMinutes: 60, diskGb: 16, waitSeconds: 0, maxAttempts: 1 };
    return textAt(await server.call('create_pod', terms), 'pod.podId');
  };
  const ready = async (podId: string): Promise<void> => {
    const wait = { podId, waitFor: 'ready', waitSeconds: 45 };
    await until(
      120,
      async () => server.call('get_pod', wait),
      (seen) => seen['reached'] === true,
    );
  };
  const [busy, idle] = [await rent(1), await rent(0)];
  await ready(busy);
  const sessionId = textAt(await server.call('session_open', { podId: busy }), 'sessionId');
  await server.call('session_write', { sessionId, input: 'sleep 900', waitSeconds: 0 });
  await ready(idle);
  const job = { podId: idle, command: 'echo "[1, 2]" > result.json', artifacts: ['result.json'] };
  const jobId = textAt(await server.call('job_start', job), 'jobId');
  await server.call('job_wait', { jobId, waitSeconds: 30 });
  await server.kill9();

  const log = await until(
    180,
    async () => readFile(path.join(box.home, 'watcher.log'), 'utf8').catch(() => ''),
    (text) => text.includes(`${idle}: destroyed`),
  );
  expect(log).toMatch(new RegExp(`${idle}: nothing has run on it since .* unless it is used`));
  expect(log).not.toContain(`${busy}: `);
  const rescued = path.join(box.home, 'rescued', idle.replaceAll(/[^A-Za-z0-9._-]/g, '-'), jobId);
  expect(await readFile(path.join(rescued, 'result.json'), 'utf8')).toBe('[1, 2]\n');
  expect(cloud.books().billingCount).toBe(1);

  const receipts = path.join(box.home, 'receipts');
  const names = (await readdir(receipts)).filter((name) => name.endsWith('.json'));
  expect(names).toHaveLength(1);
  const receipt = sealedReceiptSchema.parse(
    JSON.parse(await readFile(path.join(receipts, names[0] ?? ''), 'utf8')),
  );
  expect(receipt.lease.podId).toBe(idle);
  expect(receipt.artifacts.map(({ localPath }) => localPath)).toEqual([
    path.join(rescued, 'result.json'),
  ]);
  expect(receipt.waiver).toBeUndefined();
  expect(receipt.ending?.by).toBe('watcher');
  expect(receipt.ending?.why).toContain('GPU_LEASE_IDLE_MINUTES');

  // The command in the session goes on, and is still what keeps its pod.
  await using next = await BuiltServer.start({ home: box.home, workspace: box.workspace, env });
  const read = await next.call('session_read', { sessionId, offset: 0 });
  expect(read).toMatchObject({ state: 'busy' });
}, 300_000);
