import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';
import { describe, expect, it } from 'vitest';
import { listAt, MAIN, sandbox, textAt } from '../support/built-server.ts';
import { type Caller, finished, gone, opened, started } from '../support/day.ts';
import { connectPeer } from '../support/mcp-clients.ts';
import { startVastSandbox, type VastSandbox } from '../support/vast-sandbox.ts';

type Box = Awaited<ReturnType<typeof sandbox>>;

/** A real MCP client of today over stdio, and the built server pointed at the made-up Vast.ai. */
async function open(box: Box, cloud: VastSandbox): Promise<Caller & AsyncDisposable> {
  const peer = await connectPeer(
    'v2-2026',
    new StdioClientTransport({
      command: process.execPath,
      args: [MAIN],
      cwd: box.workspace,
      env: {
        PATH: process.env['PATH'] ?? '',
        HOME: box.home,
        GPU_LEASE_HOME: box.home,
        GPU_LEASE_WATCHER: 'off',
        VAST_API_KEY: cloud.apiKey,
        VAST_URL: cloud.url,
      },
    }),
  );
  await peer.tools();
  return {
    tool: async (name, args) => peer.call(name, args),
    async call(name, args) {
      const answer = await peer.call(name, args);
      if (answer.isError) throw new Error(`${name}: ${answer.text}`);
      return answer.data;
    },
    [Symbol.asyncDispose]: async () => peer[Symbol.asyncDispose](),
  };
}

/** Shows the price, is told yes, and waits until the pod is ready. */
async function rented(client: Caller, terms: Record<string, unknown>) {
  const quoted = await client.call('create_pod', terms);
  expect(quoted).toMatchObject({ status: 'needs_confirmation' });
  const quoteId = textAt(quoted, 'quote.quoteId');
  const created = await client.call('create_pod', { quoteId, waitSeconds: 45 });
  expect(['ready', 'provisioning'], JSON.stringify(created)).toContain(created['status']);
  return { quoted, created, pod: await ready(client, textAt(created, 'pod.podId')) };
}
async function ready(client: Caller, podId: string): Promise<Record<string, unknown>> {
  for (let calls = 0; calls < 6; calls += 1) {
    const seen = await client.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
    if (seen['reached'] === true) return seen['pod'] as Record<string, unknown>;
    expect(textAt(seen, 'pod.status')).toBe('provisioning');
  }
  throw new Error(`${podId} did not become ready.`);
}
const numberOf = (id: string): string => id.replace('vast:', '');
const billing = (cloud: VastSandbox): readonly string[] =>
  cloud
    .books()
    .instances.filter((one) => one.billing)
    .map(({ id }) => id);

describe.concurrent('the skill rent-on-vast, against the made-up Vast.ai', () => {
  it('goes through its eleven phases, with two bad hosts before the good one [MO-06, CR-05]', async () => {
    await using cloud = await startVastSandbox({ speed: 60, seed: 11, offers: 80 });
    await using box = await sandbox();
    await using client = await open(box, cloud);

    // 2. Key, credit, SSH.
    const account = await client.call('doctor', { provider: 'vast' });
    expect(account).toMatchObject({
      providers: [
        { provider: 'vast', keySource: 'VAST_API_KEY', reachable: true, sshKeyRegistered: false },
      ],
    });
    expect(JSON.stringify(account)).not.toContain(cloud.apiKey);

    // 3. Search, 4. choose: the next three in order.
    const found = await client.call('find_offer', {
      providers: ['vast'],
      diskGb: 64,
      expectedHours: 2,
      vastQuery: 'reliability>0.9 direct_port_count>=1',
    });
    const offerIds = listAt(found, 'offers')
      .slice(0, 3)
      .map((offer) => textAt(offer, 'offerId'));
    const [first = '', second = '', third = ''] = offerIds;
    expect(new Set(offerIds).size).toBe(3);
    cloud.faults.add({ kind: 'exits', offerId: numberOf(first) });
    cloud.faults.add({ kind: 'wrong-gpu', offerId: numberOf(second) });

    // 5. Confirm, rent; 6. wait: both bad hosts go.
    const { quoted, created, pod } = await rented(client, {
      offerIds,
      workload: 'pytorch',
      diskGb: 64,
      expectedHours: 2,
      ttlMinutes: 180,
      budgetUsd: 2,
    });
    expect(listAt(quoted, 'quote.notes').length).toBeGreaterThan(0);
    expect(created['attempts']).toMatchObject([
      { offerId: first, cleanup: 'gone' },
      { offerId: second, cleanup: 'gone', stage: 'command' },
    ]);
    expect(pod).toMatchObject({ status: 'ready', provider: 'vast', mode: 'managed' });
    const podId = textAt(pod, 'podId');
    expect(cloud.books().instances.find(({ id }) => id === numberOf(podId))).toMatchObject({
      offerId: numberOf(third),
    });
    expect(billing(cloud)).toEqual([numberOf(podId)]);

    // 7. Code, 8. work, 9. watch.
    const project = path.join(box.workspace, 'project');
    await mkdir(project);
    await writeFile(path.join(project, 'work.sh'), 'nvidia-smi -L\necho 42 > answer.txt\n');
    const sent = await client.call('sync_files', {
      podId,
      localPath: 'project',
      remotePath: 'project',
    });
    expect(sent).toMatchObject({ verified: true });
    const sessionId = await opened(client, podId);
    const looked = await client.call('session_write', { sessionId, input: 'nvidia-smi -L' });
    expect(textAt(looked, 'output')).toContain(textAt(pod, 'measured.gpu'));
    const jobId = await started(client, {
      podId,
      command: 'sh work.sh',
      cwd: 'project',
      artifacts: ['answer.txt'],
    });
    expect(await finished(client, jobId)).toMatchObject({ status: 'completed', exitCode: 0 });

    // 10. Home, 11. gone, proven, reported.
    expect(await client.call('destroy', { podId })).toMatchObject({ outcome: 'blocked' });
    await client.call('fetch_artifacts', { jobId, localPath: 'results', strict: true });
    expect(await readFile(path.join(box.workspace, 'results/answer.txt'), 'utf8')).toBe('42\n');
    await gone(client, podId);
    expect(await client.call('report', { podId })).toMatchObject({
      status: 'gone',
      success: { command: 'yes', artifacts: 'yes' },
    });
    const left = await client.call('list_pods', {});
    expect(left).toMatchObject({ pods: [], usdPerHour: 0 });
    expect(billing(cloud)).toEqual([]);
    expect(cloud.books().instances).toHaveLength(3);
  }, 240_000);

  it('carries the other commands of vastai: stop, start, reboot, label, volumes [VO-01, VO-03]', async () => {
    await using cloud = await startVastSandbox({ speed: 60, seed: 11, offers: 80 });
    await using box = await sandbox();
    await using client = await open(box, cloud);
    const found = await client.call('find_offer', {
      providers: ['vast'],
      vastQuery: 'verified=any direct_port_count>=1',
      limit: 50,
    });
    let quoted: Record<string, unknown> = {};
    for (const offer of listAt(found, 'offers')) {
      const answer = await client.tool('create_pod', {
        offerId: textAt(offer, 'offerId'),
        volume: 'new:20:/data:train',
      });
      if (answer.isError) continue;
      quoted = answer.data;
      break;
    }
    const quoteId = textAt(quoted, 'quote.quoteId');
    const created = await client.call('create_pod', { quoteId, waitSeconds: 45 });
    const podId = textAt(created, 'pod.podId');
    await ready(client, podId);

    const stopped = await client.call('update_pod', { podId, action: 'stop' });
    expect(textAt(stopped, 'stillCharged')).toContain('disk');
    await client.call('get_pod', { podId, waitFor: 'stopped', waitSeconds: 45 });
    await client.call('update_pod', { podId, action: 'start' });
    await ready(client, podId);
    await client.call('update_pod', { podId, action: 'restart', name: 'renamed' });
    expect(await ready(client, podId)).toMatchObject({ name: 'renamed' });

    const listed = await client.call('list_pods', {});
    const volumeId = textAt(listed, 'volumes.0.volumeId');
    expect(listed).toMatchObject({ volumes: [{ podIds: [podId], sizeGb: 20 }] });
    expect(textAt(await gone(client, podId), 'summary')).toContain(volumeId);
    expect(billing(cloud)).toHaveLength(1);
    expect(await client.call('destroy', { podId: volumeId })).toMatchObject({ outcome: 'blocked' });
    await gone(client, volumeId, { discardUnfetched: true, reason: 'the user gave it up' });
    expect(billing(cloud)).toEqual([]);
  }, 240_000);

  it('says what is wrong before anything is rented', async () => {
    await using cloud = await startVastSandbox({ seed: 11, offers: 40, machines: 'none' });
    await using box = await sandbox();
    await using client = await open(box, cloud);
    const found = await client.call('find_offer', { providers: ['vast'] });
    const offerId = textAt(found, 'offers.0.offerId');
    const refused: readonly [string, Record<string, unknown>, string][] = [
      ['find_offer', { vastQuery: 'gpu_ramm>=24' }, 'invalid_input'],
      ['create_pod', { offerId, template: 'no such template' }, 'not_found'],
      ['create_pod', { offerId, image: 'a/b', registryAuth: 'NOT_SET' }, 'config_missing'],
      ['create_pod', { offerId, setup: 'x'.repeat(17_000) }, 'too_large'],
      ['create_pod', { offerId, volume: 'V.999:/data' }, 'not_found'],
      ['create_pod', { offerId: 'vast:1' }, 'offer_gone'],
    ];
    for (const [name, args, code] of refused) {
      const answer = await client.tool(name, args);
      expect(answer, JSON.stringify(args).slice(0, 100)).toMatchObject({
        isError: true,
        data: { code },
      });
      expect(textAt(answer.data, 'hint')).not.toBe('');
    }
    expect(cloud.books().instances).toEqual([]);
  }, 60_000);
});
