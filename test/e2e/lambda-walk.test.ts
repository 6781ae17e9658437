import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { listAt, numberAt, sandbox, textAt } from '../support/built-server.ts';
import { finished, gone, opened, started } from '../support/day.ts';
import { type LambdaSandbox, startLambdaSandbox } from '../support/lambda-sandbox.ts';
import { runpodClient as cloudClient } from '../support/runpod-client.ts';
import { becomesReady, ordered } from '../support/vast-client.ts';

const LONG = 120_000;

const variablesOf = ({ apiKey, url }: LambdaSandbox) => ({
  LAMBDA_API_KEY: apiKey,
  LAMBDA_API_URL: url,
});
const billing = (cloud: LambdaSandbox): readonly string[] =>
  cloud
    .books()
    .instances.filter((row) => row.billing)
    .map(({ id }) => id);

describe.concurrent('Lambda, by a real MCP client', () => {
  it(
    'key, capacity by region, quote, pod, session, files, job, home, no stop, gone with a receipt',
    async () => {
      await using cloud = await startLambdaSandbox({
        lambda: { bootSeconds: 2, sshSeconds: 1, terminateSeconds: 1 },
      });
      await using box = await sandbox();
      await using client = await cloudClient(box, variablesOf(cloud));

      // Account and key: Lambda tells no balance, and none is made up.
      const looked = await client.call('doctor', { provider: 'lambda' });
      expect(looked).toMatchObject({
        providers: [{ keySource: 'LAMBDA_API_KEY', reachable: true, sshKeyRegistered: false }],
      });
      expect(JSON.stringify(looked)).not.toMatch(/balance/i);
      await client.call('doctor', { fix: 'generate_ssh_key' });
      expect(
        await client.call('doctor', { provider: 'lambda', fix: 'register_ssh_key' }),
      ).toMatchObject({ providers: [{ sshKeyRegistered: true }] });

      // Each offer is a kind of machine in a region where Lambda says that it is free.
      const found = await client.call('find_offer', {
        providers: ['lambda'],
        minVramGb: 16,
        minReliability: 0,
        limit: 20,
      });
      const offers = listAt(found, 'offers');
      const types = await listedBy(cloud);
      expect(offers.length).toBeGreaterThan(1);
      for (const offer of offers) {
        const [type = '', region = ''] = textAt(offer, 'offerId').replace('lambda:', '').split('@');
        expect(types.get(type)?.regions, textAt(offer, 'offerId')).toContain(region);
        expect(numberAt(offer, 'usdPerHour')).toBe(types.get(type)?.usdPerHour);
      }
      const [offer] = offers;
      const { quoted, created } = await ordered(client, {
        offerId: textAt(offer, 'offerId'),
        name: 'walk',
        ttlMinutes: 180,
      });
      expect(numberAt(quoted, 'quote.usdPerHour')).toBe(numberAt(offer, 'usdPerHour'));
      // What it cannot do is said before anybody agrees.
      expect(JSON.stringify(quoted)).toMatch(/cannot stop/);
      expect(JSON.stringify(quoted)).toMatch(/no time limit|only this server ends it/);
      const pod = await becomesReady(client, textAt(created, 'pod.podId'));
      const podId = textAt(pod, 'podId');
      expect(pod).toMatchObject({ name: 'walk', endpoint: { user: 'ubuntu', route: 'direct' } });

      // Inside.
      const sessionId = await opened(client, podId);
      const card = await client.call('session_write', { sessionId, input: 'nvidia-smi -L' });
      expect(textAt(card, 'output')).toMatch(/^GPU 0: /);
      const project = path.join(box.workspace, 'project');
      await mkdir(project);
      await writeFile(path.join(project, 'train.sh'), 'echo \'{"loss": 0.1}\' > metrics.json\n');
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

      // There is no stop, and nothing is done instead of it.
      const stop = await client.tool('update_pod', { podId, action: 'stop' });
      expect(stop).toMatchObject({ isError: true, data: { code: 'unsupported' } });
      expect(textAt(stop.data, 'hint')).toContain('goes on costing until destroy');
      expect(billing(cloud)).toHaveLength(1);

      expect(await client.call('destroy', { podId })).toMatchObject({ outcome: 'blocked' });
      const home = await client.call('fetch_artifacts', { jobId, localPath: 'results' });
      expect(home).toMatchObject({ missing: [] });
      const local = path.resolve(box.workspace, textAt(home, 'manifest.files.0.localPath'));
      expect(JSON.parse(await readFile(local, 'utf8'))).toEqual({ loss: 0.1 });

      // Gone, in the books of the cloud too.
      const ended = await gone(client, podId);
      expect(numberAt(ended, 'receipt.estimatedUsd')).toBeGreaterThan(0);
      expect(textAt(ended, 'receipt.proof.readAt')).not.toBe('');
      expect(billing(cloud)).toEqual([]);
      expect(cloud.books().instances).toHaveLength(1);
      const told = await client.call('report', { podId });
      expect(told).toMatchObject({ status: 'gone', mode: 'managed', filesMissing: [] });
      const left = await client.call('list_pods', {});
      expect(left).toMatchObject({ pods: [], usdPerHour: 0 });
      for (const entry of await readdir(box.home, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile()) continue;
        const kept = await readFile(path.join(entry.parentPath, entry.name), 'latin1');
        expect(kept.includes(cloud.apiKey), `${entry.name} holds the key`).toBe(false);
      }
    },
    LONG,
  );

  it(
    'where nothing is free it waits, goes on later, and rents nothing before the price is agreed to [OF-24]',
    async () => {
      await using cloud = await startLambdaSandbox({ machines: 'none', speed: 60 });
      await using box = await sandbox();
      await using client = await cloudClient(box, variablesOf(cloud));
      await client.call('doctor', { fix: 'generate_ssh_key' });
      const place = 'gpu_1x_b200_sxm6@us-east-1';
      const offerId = `lambda:${place}`;
      cloud.cloud.free.delete(place);

      const waited = await client.tool('create_pod', { offerId, waitSeconds: 1 });
      expect(waited).toMatchObject({ isError: true, data: { code: 'no_capacity' } });
      expect(textAt(waited.data, 'hint')).toContain(
        'call create_pod again with the same arguments',
      );
      expect(cloud.books().instances).toEqual([]);

      // It becomes free while somebody waits: a price is told, and nothing else happens.
      const waiting = client.call('create_pod', { offerId, waitSeconds: 45 });
      cloud.cloud.free.add(place);
      const quoted = await waiting;
      expect(quoted).toMatchObject({ status: 'needs_confirmation' });
      expect(cloud.books().instances).toEqual([]);

      // Agreed to, and sold out in between: the same words, and the quote still holds.
      cloud.cloud.free.delete(place);
      const quoteId = textAt(quoted, 'quote.quoteId');
      expect(await client.tool('create_pod', { quoteId, waitSeconds: 1 })).toMatchObject({
        isError: true,
        data: { code: 'no_capacity' },
      });
      cloud.cloud.free.add(place);
      const created = await client.call('create_pod', { quoteId, waitSeconds: 0 });
      expect(created).toMatchObject({ status: 'provisioning' });
      expect(cloud.books().instances).toHaveLength(1);
      await gone(client, textAt(created, 'pod.podId'), { waitSeconds: 45 });
      expect(billing(cloud)).toEqual([]);
    },
    LONG,
  );
});

interface Listed {
  readonly regions: readonly string[];
  readonly usdPerHour: number;
}
/** What the cloud itself lists as free. */
async function listedBy(cloud: LambdaSandbox): Promise<ReadonlyMap<string, Listed>> {
  const answer = await fetch(`${cloud.url}/api/v1/instance-types`, {
    headers: { authorization: `Bearer ${cloud.apiKey}` },
  });
  const { data } = (await answer.json()) as {
    data: Record<
      string,
      {
        instance_type: { price_cents_per_hour: number };
        regions_with_capacity_available: { name: string }[];
      }
    >;
  };
  return new Map(
    Object.entries(data).map(([type, row]) => [
      type,
      {
        regions: row.regions_with_capacity_available.map(({ name }) => name),
        usdPerHour: row.instance_type.price_cents_per_hour / 100,
      },
    ]),
  );
}
