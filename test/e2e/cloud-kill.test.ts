import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { poll } from '../../src/core/poll.ts';
import { BuiltServer, listAt, sandbox, textAt } from '../support/built-server.ts';
import { CLOUDS, type KillPlan, killPlans, runKills } from '../support/cloud-kill.ts';
import { startVastSandbox, type VastSandbox } from '../support/vast-sandbox.ts';
import { sampled } from '../support/whole.ts';

/** One of each kind of moment; `npm run bench -- orphans` kills at many more. */
const RUNS = 5;
const SEED = 7;
const AT_ONCE = 2;

const startOf = (
  box: Awaited<ReturnType<typeof sandbox>>,
  cloud: VastSandbox,
  env: Readonly<Record<string, string>> = {},
) => ({
  ...box,
  env: {
    VAST_API_KEY: cloud.apiKey,
    VAST_URL: cloud.url,
    GPU_LEASE_AUTO_APPROVE_USD: '100000',
    ...env,
  },
});
const billing = (cloud: VastSandbox): readonly string[] =>
  cloud
    .books()
    .instances.filter((one) => one.billing)
    .map(({ id }) => `vast:${id}`);
async function offersOf(server: BuiltServer): Promise<readonly string[]> {
  const found = await server.call('find_offer', {
    providers: ['vast'],
    vastQuery: 'verified=any direct_port_count>=1',
    minReliability: 0,
  });
  return listAt(found, 'offers').map((offer) => textAt(offer, 'offerId'));
}

const ROWS = CLOUDS.map((cloud, row) => [cloud, row] as const);
describe.concurrent.each(ROWS)(
  'kill -9 of the server in the middle of create_pod: %s',
  (cloud, row) => {
    it('leaves no orphan and rents nothing twice, wherever it dies [OW-07] [CR-26]', async () => {
      const killed = killPlans(cloud, RUNS, SEED);
      expect(new Set(killed.map(({ moment }) => moment.kind)).size).toBe(5);
      // A laptop that sleeps in the middle of it, while another server clears up, and wakes to go on.
      const frozen: KillPlan = { cloud, seed: SEED, moment: { kind: 'frozen', seconds: 3 } };
      // In each row both whose order surely leaves a machine: of the sleeper's it is not known when the next server looks.
      const isSure = ({ moment }: KillPlan): boolean => ['link', 'late'].includes(moment.kind);
      const sure = killed.filter(isSure);
      const others = killed.filter((plan) => !isSure(plan));
      const plans = [...sure, ...sampled(others, row, 3), frozen];
      const results = await runKills(plans, AT_ONCE);
      for (const [index, result] of results.entries()) {
        const words = JSON.stringify([plans[index], result]);
        expect(result, words).toMatchObject({ orphans: [], left: [], doubles: 0 });
        expect(result.machines, words).toBeLessThanOrEqual(
          plans[index]?.isFirstBad === true ? 2 : 1,
        );
      }
      // At least those whose order was under way left a machine to find.
      expect(
        results.filter(({ secondsToKnown }) => secondsToKnown !== undefined).length,
      ).toBeGreaterThanOrEqual(2);
    });
  },
);

it.concurrent('two servers that create at once under a limit of one pod: one wins [CO-12]', async () => {
  await using cloud = await startVastSandbox({ speed: 60, offers: 40, machines: 'none' });
  await using box = await sandbox();
  const start = startOf(box, cloud, { GPU_LEASE_MAX_PODS: '1' });
  await using first = await BuiltServer.start(start);
  await using second = await BuiltServer.start(start);
  const [one = '', other = ''] = await offersOf(first);
  const answers = await Promise.all([
    first.tool('create_pod', { offerId: one, waitSeconds: 0 }),
    second.tool('create_pod', { offerId: other, waitSeconds: 0 }),
  ]);
  expect(answers.map(({ isError }) => isError).sort()).toEqual([false, true]);
  expect(answers.find(({ isError }) => isError)?.data).toMatchObject({ code: 'budget_exceeded' });
  expect(billing(cloud)).toHaveLength(1);
  expect(cloud.books().instances).toHaveLength(1);
  const podId = textAt(answers.find(({ isError }) => !isError)?.data, 'pod.podId');
  // Either server knows it, and may end it.
  await second.call('destroy', { podId, waitSeconds: 45 });
  expect(billing(cloud)).toEqual([]);
});

it.concurrent('the laptop is closed: the pod ends itself at its deadline, through the API and with its own key [CO-05]', async ({
  expect,
}) => {
  await using cloud = await startVastSandbox({
    offers: 40,
    vast: { bootSeconds: 1, sshSeconds: 1 },
  });
  await using box = await sandbox();
  const server = await BuiltServer.start(startOf(box, cloud));
  const [offerId] = await offersOf(server);
  const created = await server.call('create_pod', { offerId, ttlMinutes: 1, waitSeconds: 40 });
  expect(created).toMatchObject({ status: 'ready' });
  const deadline = Date.parse(textAt(created, 'pod.deadlineAt'));
  await server.kill9();
  expect(Date.now()).toBeLessThan(deadline);
  const podId = textAt(created, 'pod.podId');
  expect(billing(cloud)).toEqual([podId]);
  const requests = cloud.sandbox.requests().length;

  const ended = await poll(
    async () => Promise.resolve(billing(cloud).length === 0 ? Date.now() : undefined),
    {
      clock: systemClock,
      signal: new AbortController().signal,
      timeoutSeconds: (deadline - Date.now()) / 1000 + 60,
      everySeconds: 0.2,
    },
  );
  if (ended === undefined) throw new Error('It went on costing money after its deadline.');
  expect(ended).toBeGreaterThanOrEqual(deadline - 1000);
  const seen = cloud.sandbox.requests().slice(requests);
  expect(
    seen.some(({ method, path }) => method === 'DELETE' && path.includes(podId.slice(5))),
  ).toBe(true);

  // Whoever opens the laptop again is told what became of it.
  await using next = await BuiltServer.start(startOf(box, cloud));
  const gone = async (): Promise<string> =>
    textAt(await next.call('get_pod', { podId }), 'pod.status');
  await expect.poll(gone, { timeout: 60_000, interval: 500 }).toBe('gone');
  expect(await next.call('list_pods', {})).toMatchObject({ pods: [], usdPerHour: 0 });
});
