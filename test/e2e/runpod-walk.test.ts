import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { listAt, numberAt, sandbox, textAt } from '../support/built-server.ts';
import { finished, gone, opened, started } from '../support/day.ts';
import { runpodClient } from '../support/runpod-client.ts';
import { type RunpodSandbox, startRunpodSandbox } from '../support/runpod-sandbox.ts';
import { becomesReady, ordered } from '../support/vast-client.ts';

const LONG = 120_000;
const TEMPLATE = 'runpod-torch-v21';

const billing = (cloud: RunpodSandbox): readonly string[] =>
  cloud
    .books()
    .instances.filter((row) => row.billing)
    .map(({ id }) => id);
const podOf = (cloud: RunpodSandbox, podId: string) => {
  const pod = cloud.cloud.pods.get(podId.replace('runpod:', ''));
  if (pod === undefined) throw new Error(`RunPod has no ${podId}.`);
  return pod;
};
const endpointOf = (pod: Record<string, unknown>) =>
  pod['endpoint'] as { host: string; port: number; user: string; route: string };
/** What the server wrote down about the ways into the pod. */
async function logOf(home: string, podId: string): Promise<string> {
  await using store = createSqliteStore({ file: path.join(home, 'state.db') });
  const entries = await store.log.list(podId);
  return entries
    .filter(({ kind }) => kind === 'endpoint')
    .map(({ text }) => text)
    .join('\n');
}

describe.concurrent('RunPod, by a real MCP client', () => {
  it(
    'key, offer, quote, pod, session, files, job, home, stop, start at a new port, gone',
    async () => {
      // In the time of the server: an address is new when its container is younger than the order to start it.
      await using cloud = await startRunpodSandbox({
        speed: 1,
        offers: 60,
        runpod: { bootSeconds: 3, portSeconds: 1, sshSeconds: 1, staleSeconds: 1 },
      });
      await using box = await sandbox();
      await using client = await runpodClient(box, cloud.variables);

      // Account and key.
      expect(await client.call('doctor', { provider: 'runpod' })).toMatchObject({
        providers: [{ keySource: 'RUNPOD_API_KEY', reachable: true, sshKeyRegistered: false }],
      });
      await client.call('doctor', { fix: 'generate_ssh_key' });
      expect(
        await client.call('doctor', { provider: 'runpod', fix: 'register_ssh_key' }),
      ).toMatchObject({ providers: [{ sshKeyRegistered: true }] });
      expect(cloud.cloud.keys()).toHaveLength(1);

      // The price is that of the disk too; the quote rents nothing.
      const found = await client.call('find_offer', {
        providers: ['runpod'],
        gpu: ['RTX 4090'],
        diskGb: 20,
        minReliability: 0,
        limit: 5,
      });
      const offers = listAt(found, 'offers');
      expect(offers.length).toBeGreaterThan(0);
      const [offer] = offers;
      const offerId = textAt(offer, 'offerId');
      expect(offerId).toMatch(/^runpod:(secure|community)\/nvidia-geforce-rtx-4090\//);
      const quoted = await client.call('create_pod', {
        offerIds: [offerId],
        name: 'walk',
        diskGb: 20,
        env: { A: '1' },
        ttlMinutes: 180,
        budgetUsd: 5,
      });
      expect(quoted).toMatchObject({ status: 'needs_confirmation' });
      expect(numberAt(quoted, 'quote.usdPerHour')).toBeCloseTo(numberAt(offer, 'usdPerHour'), 4);
      expect(cloud.books().instances).toEqual([]);
      const created = await client.call('create_pod', {
        quoteId: textAt(quoted, 'quote.quoteId'),
        waitSeconds: 45,
      });
      const pod = await becomesReady(client, textAt(created, 'pod.podId'));
      const podId = textAt(pod, 'podId');
      expect(pod).toMatchObject({ name: 'walk', endpoint: { user: 'root', route: 'direct' } });
      const first = endpointOf(pod);
      expect(textAt(pod, 'measured.gpu')).toContain('4090');

      // Inside.
      const sessionId = await opened(client, podId);
      const card = await client.call('session_write', { sessionId, input: 'nvidia-smi -L' });
      expect(textAt(card, 'output')).toMatch(/^GPU 0: .*4090/);
      const project = path.join(box.workspace, 'project');
      await mkdir(project);
      await writeFile(
        path.join(project, 'train.sh'),
        'for step in 1 2 3; do echo "step $step/3 loss=0.$step"; done\necho \'{"loss": 0.1}\' > metrics.json\n',
      );
      expect(
        await client.call('sync_files', { podId, localPath: 'project', remotePath: 'project' }),
      ).toMatchObject({ verified: true, sent: { files: 1 } });
      const jobId = await started(client, {
        podId,
        command: 'sh train.sh',
        cwd: 'project',
        artifacts: ['metrics.json'],
      });
      expect(await finished(client, jobId)).toMatchObject({ status: 'completed', exitCode: 0 });
      expect(await client.call('destroy', { podId })).toMatchObject({ outcome: 'blocked' });
      const home = await client.call('fetch_artifacts', { jobId, localPath: 'results' });
      expect(home).toMatchObject({ missing: [] });
      const local = path.resolve(box.workspace, textAt(home, 'manifest.files.0.localPath'));
      expect(JSON.parse(await readFile(local, 'utf8'))).toEqual({ loss: 0.1 });

      // A stop gives the GPU away; a start comes up behind another port.
      const running = cloud.books().usdPerHour;
      await client.call('update_pod', { podId, action: 'stop' });
      expect(
        await client.call('get_pod', { podId, waitFor: 'stopped', waitSeconds: 45 }),
      ).toMatchObject({ reached: true, pod: { status: 'stopped' } });
      expect(cloud.books().usdPerHour).toBeLessThan(running);
      await client.call('update_pod', { podId, action: 'start' });
      const again = await becomesReady(client, podId);
      expect(textAt(again, 'podId')).toBe(podId);
      expect(endpointOf(again).port).not.toBe(first.port);
      const back = await opened(client, podId);
      const said = await client.call('session_write', { sessionId: back, input: 'echo back' });
      expect(textAt(said, 'output')).toBe('back\n');

      // Gone, in the books of the cloud too.
      await gone(client, podId);
      expect(billing(cloud)).toEqual([]);
      expect(cloud.books().instances).toHaveLength(1);
      const told = await client.call('report', { podId });
      expect(told).toMatchObject({ status: 'gone', mode: 'managed', filesMissing: [] });
      expect(numberAt(told, 'costUsd')).toBeGreaterThan(0);
      expect(textAt(told, 'destroyed.readAt')).not.toBe('');
      expect(await client.call('list_pods', {})).toMatchObject({ pods: [], usdPerHour: 0 });
      for (const entry of await readdir(box.home, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const kept = await readFile(path.join(entry.parentPath, entry.name), 'latin1');
        expect(kept.includes(cloud.apiKey), `${entry.name} holds the key`).toBe(false);
      }
    },
    LONG,
  );

  it(
    'the template, the login and no gateway of the user; the log shows the port list, the mapping and user@host:port',
    async () => {
      await using cloud = await startRunpodSandbox({ speed: 60, offers: 60 });
      await using box = await sandbox();
      await using client = await runpodClient(box, {
        ...cloud.variables,
        RUNPOD_TEMPLATE_ID: TEMPLATE,
        RUNPOD_NO_GATEWAY: '1',
        RUNPOD_DIRECT_SSH_USER: 'root',
      });
      await client.call('doctor', { fix: 'generate_ssh_key' });
      const found = await client.call('find_offer', {
        providers: ['runpod'],
        minReliability: 0,
        diskGb: 20,
      });
      const { quoted, created } = await ordered(client, {
        offerId: textAt(found, 'offers.0.offerId'),
        diskGb: 20,
      });
      expect(JSON.stringify(quoted)).toContain(TEMPLATE);
      const podId = textAt(created, 'pod.podId');
      const pod = await becomesReady(client, podId);
      expect(podOf(cloud, podId).order.templateId).toBe(TEMPLATE);
      const { host, port, user, route } = endpointOf(pod);
      expect({ user, route }).toEqual({ user: 'root', route: 'direct' });
      // The mapping of private port 22 that is public, as RunPod itself lists it.
      const chosen = podOf(cloud, podId).runtime?.ports?.find(
        (one) => one.privatePort === 22 && one.isIpPublic,
      );
      expect(chosen).toMatchObject({ ip: host, publicPort: port });
      const log = await logOf(box.home, podId);
      expect(log).toContain(`root@${host}:${port}, route direct`);
      expect(log).toContain(`22/tcp -> ${host}:${port} (public)`);
      expect(log).toContain('8888/http -> ');
      expect(log).not.toContain('ssh.runpod.io');
      expect(log).not.toContain(cloud.apiKey);
      await gone(client, podId, { discardUnfetched: true, reason: 'nothing was made' });
      expect(billing(cloud)).toEqual([]);
    },
    LONG,
  );
});
