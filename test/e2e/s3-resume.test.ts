import { once } from 'node:events';
import { describe, expect, it } from 'vitest';
import { BuiltServer, listAt, sandbox, textAt } from '../support/built-server.ts';
import { openCloudBench } from '../support/cloud-agent.ts';
import { type Caller, gone } from '../support/day.ts';
import { CLIENTS, clientOf } from '../support/e2e-client.ts';
import { startRunpodSandbox } from '../support/runpod-sandbox.ts';
import { becomesReady, ordered } from '../support/vast-client.ts';

const LONG = 120_000;
const TEMPLATE = 'runpod-torch-v21';
const settings = {
  RUNPOD_TEMPLATE_ID: TEMPLATE,
  RUNPOD_NO_GATEWAY: '1',
  RUNPOD_DIRECT_SSH_USER: 'unsloth',
};

async function anOffer(client: Caller): Promise<string> {
  const found = await client.call('find_offer', {
    providers: ['runpod'],
    minReliability: 0,
    diskGb: 20,
  });
  return textAt(found, 'offers.0.offerId');
}
const wayOf = async (client: Caller, podId: string): Promise<string> => {
  const report = await client.call('report', { podId });
  return listAt(report, 'connections').join('\n');
};

describe.concurrent.each(CLIENTS)('the resume list of a trainer on RunPod, by %s', (kind) => {
  it(
    'template, login and no gateway from the environment; each run has a connection record of its own',
    async () => {
      await using cloud = await startRunpodSandbox({ speed: 60, offers: 60 });
      await using box = await sandbox();
      await using client = await clientOf(kind, box, { ...cloud.variables, ...settings });
      await client.call('doctor', { fix: 'generate_ssh_key' });
      const offerId = await anOffer(client);
      const ports: number[] = [];
      for (const run of [1, 2]) {
        const { quoted, created } = await ordered(client, {
          offerId,
          diskGb: 20,
          ports: ['6006/http'],
        });
        expect(JSON.stringify(quoted), '[CR-28]').toContain(TEMPLATE);
        const podId = textAt(created, 'pod.podId');
        const pod = await becomesReady(client, podId);
        const { order, runtime } = cloud.cloud.pods.get(podId.replace('runpod:', '')) ?? {};
        expect(order?.templateId, '[CR-07] [CR-28]').toBe(TEMPLATE);
        expect(order?.ports, '[CR-13]').toEqual(expect.arrayContaining(['22/tcp', '6006/http']));
        expect(order?.env.get('PUBLIC_KEY'), '[KE-05]').toMatch(/^ssh-ed25519 /);
        // The login that the user named and no other; the public mapping of private port 22 and no other.
        const { host, port, user, route } = pod['endpoint'] as {
          host: string;
          port: number;
          user: string;
          route: string;
        };
        expect({ user, route }, '[PR-15]').toEqual({ user: 'unsloth', route: 'direct' });
        const mapping = runtime?.ports?.find((one) => one.privatePort === 22 && one.isIpPublic);
        expect(mapping, '[RE-06]').toMatchObject({ ip: host, publicPort: port, type: 'tcp' });
        const stages = listAt(pod, 'stages').map((stage) => textAt(stage, 'stage'));
        expect(stages, '[RE-05]').toEqual(expect.arrayContaining(['running', 'mapped', 'auth']));
        expect(textAt(pod, 'stage'), '[RE-04]').toBe('ready');
        const way = await wayOf(client, podId);
        expect(way, '[PR-16]').toContain(`unsloth@${host}:${port}, route direct`);
        expect(way).toContain(`by the mapping 22/tcp -> ${host}:${port} (public)`);
        expect(way).toContain('8888/http -> ');
        expect(way, '[CR-29]').not.toContain('ssh.runpod.io');
        const { pod: shown } = await client.call('get_pod', { podId });
        expect(listAt(shown, 'portMappings').join(' '), '[PR-16]').toContain(`:${port} (public)`);
        ports.push(port);
        await gone(client, podId, { discardUnfetched: true, reason: `run ${run} made nothing` });
      }
      expect(new Set(ports).size, '[PR-14]').toBe(2);
      expect(cloud.books().billingCount).toBe(0);
    },
    LONG,
  );
});

it.concurrent('a raw image where a template id belongs stops the server at its start, by name [CR-28]', async () => {
  await using box = await sandbox();
  await using server = new BuiltServer({
    ...box,
    env: { RUNPOD_API_KEY: 'rpa_x', RUNPOD_TEMPLATE_ID: 'runpod/pytorch:2.4' },
  });
  const [code] = (await once(server.child, 'exit')) as [number];
  expect(code).not.toBe(0);
  expect(server.stderr).toContain('RUNPOD_TEMPLATE_ID');
});

describe('direct SSH that never comes up', () => {
  it.each(['ports-null', 'private-only'])(
    '%s: a typed end that names the causes, long before ten minutes are paid for; the gateway is never taken for a way [RE-07] [PR-13]',
    async (fault) => {
      await using bench = await openCloudBench('runpod');
      bench.cloud.faults.add({ kind: fault });
      // Time runs fast here, so a cloud on a busy machine may be too late for the first question.
      const search = async () => {
        const { data } = await bench.call('find_offer', {
          providers: ['runpod'],
          minReliability: 0,
          diskGb: 20,
        });
        return listAt(data, 'offers')[0];
      };
      let offer: unknown;
      await expect.poll(async () => (offer = await search()), { timeout: 20_000 }).toBeDefined();
      const offerId = textAt(offer, 'offerId');
      const quoted = await bench.call('create_pod', {
        offerIds: [offerId],
        diskGb: 20,
        maxAttempts: 1,
      });
      const quoteId = textAt(quoted.data, 'quote.quoteId');
      const created = await bench.call('create_pod', { quoteId, waitSeconds: 0 });
      const podId = textAt(created.data, 'pod.podId');
      const startedAt = bench.clock.now().getTime();
      let seen = created;
      for (;;) {
        seen = await bench.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
        const status = textAt(seen.data, 'pod.status');
        if (status !== 'provisioning') break;
        expect(seen.data['pod'], 'no way is a way').not.toHaveProperty('endpoint');
        expect((bench.clock.now().getTime() - startedAt) / 60_000).toBeLessThan(25);
      }
      expect((bench.clock.now().getTime() - startedAt) / 60_000).toBeGreaterThan(3);
      expect(textAt(seen.data, 'pod.problem')).toMatch(
        /^no_ssh_mapping: .*22\/tcp.*public address/,
      );
      expect(JSON.stringify(bench.trail)).not.toContain('ssh.runpod.io');
      await bench.call('destroy', { podId, discardUnfetched: true, reason: 'it never came up' });
      await expect.poll(() => bench.billing(), { timeout: 20_000 }).toEqual([]);
    },
    LONG,
  );
});
