import { describe, expect, it } from 'vitest';
import { listAt, numberAt, sandbox, textAt } from '../support/built-server.ts';
import type { Caller } from '../support/day.ts';
import { vastClient } from '../support/vast-client.ts';
import {
  startVastSandbox,
  type VastSandbox,
  type VastSandboxOptions,
} from '../support/vast-sandbox.ts';

const LIMIT = 120_000;
const TOKEN = 'hf_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789';

interface Bench extends AsyncDisposable {
  readonly cloud: VastSandbox;
  readonly client: Caller;
  /** The first offer that is found with these words. */
  offer(extra?: Record<string, unknown>): Promise<Record<string, unknown>>;
  /** Asks Vast.ai itself, as the console does. */
  console(method: string, path: string, body: unknown): Promise<Record<string, unknown>>;
}
interface BenchOptions {
  readonly cloud?: VastSandboxOptions;
  readonly apiKey?: (cloud: VastSandbox) => Promise<string>;
}

async function consoleOf(
  cloud: VastSandbox,
  method: string,
  path: string,
  body: unknown,
): Promise<Record<string, unknown>> {
  const answer = await fetch(`${cloud.url}${path}`, {
    method,
    headers: { Authorization: `Bearer ${cloud.apiKey}` },
    body: JSON.stringify(body),
  });
  expect(answer.status, path).toBe(200);
  return (await answer.json()) as Record<string, unknown>;
}

async function open(options: BenchOptions = {}): Promise<Bench> {
  const cloud = await startVastSandbox({
    machines: 'none',
    speed: 60,
    seed: 11,
    offers: 80,
    ...options.cloud,
  });
  const box = await sandbox();
  const apiKey = (await options.apiKey?.(cloud)) ?? cloud.apiKey;
  const client = await vastClient(box, { url: cloud.url, apiKey });
  return {
    cloud,
    client,
    async offer(extra = {}) {
      const found = await client.call('find_offer', { providers: ['vast'], ...extra });
      const [offer] = listAt(found, 'offers') as Record<string, unknown>[];
      if (offer === undefined) throw new Error('Nothing was found.');
      return offer;
    },
    console: async (method, path, body) => consoleOf(cloud, method, path, body),
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await box[Symbol.asyncDispose]();
      await cloud[Symbol.asyncDispose]();
    },
  };
}

/** The call is refused with this code and a hint that fits, in our own words, and nothing is charged. */
async function refused(
  { client, cloud }: Bench,
  [name, args]: readonly [tool: string, args: Record<string, unknown>],
  code: string,
  fix: RegExp,
): Promise<Record<string, unknown>> {
  const answer = await client.tool(name, args);
  expect(answer, JSON.stringify(answer.data).slice(0, 2000)).toMatchObject({
    isError: true,
    data: { code },
  });
  const message = textAt(answer.data, 'message');
  const hint = textAt(answer.data, 'hint');
  expect(`${message} ${hint}`).toMatch(fix);
  expect(message + hint).not.toContain(cloud.apiKey);
  expect(JSON.stringify(answer)).not.toContain(TOKEN);
  expect(answer.data['retryable']).toBeTypeOf('boolean');
  nothingLeft(cloud);
  return answer.data;
}
function nothingLeft(cloud: VastSandbox): void {
  expect(cloud.books()).toMatchObject({ billingCount: 0, usdPerHour: 0 });
}
const quoteIn = (answer: Record<string, unknown>): string => textAt(answer, 'quote.quoteId');

/** Waits until the order is over, and answers with the attempts. */
async function attemptsOf(
  { client, cloud }: Bench,
  created: Record<string, unknown>,
): Promise<readonly unknown[]> {
  let answer = created;
  for (let calls = 0; answer['status'] === 'provisioning' && calls < 6; calls += 1) {
    const podId = textAt(answer, 'pod.podId');
    const seen = await client.call('get_pod', { podId, waitFor: 'ready', waitSeconds: 45 });
    const pod = seen['pod'] as Record<string, unknown>;
    if (pod['status'] !== 'provisioning') {
      answer = { status: pod['status'], attempts: [pod] };
    }
  }
  expect(['failed', 'gone']).toContain(answer['status']);
  nothingLeft(cloud);
  return listAt(answer, 'attempts');
}

describe.concurrent('wrong keys and accounts', () => {
  it.each([404, 401] as const)(
    'a wrong key answered with %i is told as such, everywhere, and never as "gone" (vast.md 16.2)',
    async (badKeyStatus) => {
      await using bench = await open({
        cloud: { vast: { badKeyStatus } },
        apiKey: async () => Promise.resolve('no-such-key-0123456789'),
      });
      const found = await bench.client.call('find_offer', { providers: ['vast'] });
      expect(found).toMatchObject({ offers: [], providers: [{ provider: 'vast', ok: false }] });
      expect(textAt(found, 'providers.0.error')).toContain('VAST_API_KEY');
      const account = await bench.client.call('doctor', { provider: 'vast' });
      expect(textAt(account, 'providers.0.problem')).toContain('VAST_API_KEY');
      const order = ['create_pod', { offerId: 'vast:26000001' }] as const;
      await refused(bench, order, 'auth_rejected', /VAST_API_KEY/);
      const destroyed = await bench.client.tool('destroy', {
        podId: 'vast:7835001',
        discardUnfetched: true,
        reason: 'test',
      });
      expect(destroyed.data['outcome']).not.toBe('gone');
    },
    LIMIT,
  );

  it(
    'no credit, and too little for the run, are told before anybody is asked',
    async () => {
      await using bench = await open({ cloud: { creditUsd: 0.01 } });
      const offerId = textAt(await bench.offer(), 'offerId');
      const order = ['create_pod', { offerId, expectedHours: 24, ttlMinutes: 1500 }] as const;
      await refused(bench, order, 'insufficient_credit', /credit|balance/i);
      bench.cloud.cloud.addCredit(-1);
      await refused(bench, ['create_pod', { offerId }], 'insufficient_credit', /credit|balance/i);
      expect(bench.cloud.books().instances).toEqual([]);
    },
    LIMIT,
  );

  it(
    'credit that ends while the order is on its way leaves nothing',
    async () => {
      await using bench = await open();
      const offerId = textAt(await bench.offer(), 'offerId');
      const quoteId = quoteIn(await bench.client.call('create_pod', { offerId }));
      bench.cloud.faults.add({ kind: 'no-credit' });
      const ordered = await bench.client.tool('create_pod', { quoteId, waitSeconds: 20 });
      expect(JSON.stringify(ordered.data)).toMatch(/credit/);
      expect(ordered.data).toMatchObject({ status: 'failed', next: [{ tool: 'doctor' }] });
      expect(ordered.isError || ordered.data['status'] === 'failed').toBe(true);
      nothingLeft(bench.cloud);
      expect(bench.cloud.books().instances).toEqual([]);
    },
    LIMIT,
  );

  it(
    'an account without any key gets ours before the order, also where that is a 404 (vast.md 10.1)',
    async () => {
      await using bench = await open({ cloud: { vast: { noKeysStatus: 404 } } });
      const offerId = textAt(await bench.offer(), 'offerId');
      expect(await bench.client.call('doctor', { provider: 'vast' })).toMatchObject({
        providers: [{ sshKeyRegistered: false }],
      });
      const quoteId = quoteIn(await bench.client.call('create_pod', { offerId }));
      await bench.client.call('create_pod', { quoteId, waitSeconds: 0 });
      const order = bench.cloud.sandbox
        .requests(1000)
        .filter(({ path }) => /\/(?:ssh|asks)\//.test(path))
        .map(({ method, path }) => `${method} ${path.split('/')[3] ?? ''}`);
      expect(order.indexOf('POST ssh')).toBeGreaterThanOrEqual(0);
      expect(order.indexOf('POST ssh')).toBeLessThan(order.indexOf('PUT asks'));
    },
    LIMIT,
  );

  it(
    'a key of narrow scope that may not add our SSH key says which scope is missing (vast.md 1.6)',
    async () => {
      await using bench = await open({
        apiKey: async (cloud) => {
          const permissions = {
            api: { misc: {}, user_read: {}, instance_read: {}, instance_write: {} },
          };
          const body = { name: 'narrow', permissions };
          const made = await consoleOf(cloud, 'POST', '/api/v0/auth/apikeys/', body);
          return String(made['key']);
        },
      });
      const offerId = textAt(await bench.offer(), 'offerId');
      const first = await bench.client.tool('create_pod', { offerId });
      const second = first.isError
        ? first
        : await bench.client.tool('create_pod', { quoteId: quoteIn(first.data), waitSeconds: 20 });
      expect(JSON.stringify(second.data)).toMatch(/user_write|SSH key/);
      expect(
        second.isError || second.data['status'] === 'failed',
        JSON.stringify(second.data),
      ).toBe(true);
      nothingLeft(bench.cloud);
    },
    LIMIT,
  );
});

describe.concurrent('offers that change', () => {
  it(
    'rented by somebody else a second ago: before the quote, after it, and in the very order',
    async () => {
      await using bench = await open();
      const offer = await bench.offer();
      const offerId = textAt(offer, 'offerId');
      const terms = { offerId, diskGb: 16 };
      const quoteId = quoteIn(await bench.client.call('create_pod', terms));
      const other = await bench.console('PUT', `/api/v0/asks/${offerId.replace('vast:', '')}/`, {
        image: 'a/b',
        disk: 8,
        runtype: 'ssh_direct',
      });
      await bench.console('DELETE', `/api/v0/instances/${String(other['new_contract'])}/`, {});
      await refused(bench, ['create_pod', terms], 'offer_gone', /find_offer/);
      await refused(bench, ['create_pod', { quoteId }], 'offer_gone', /find_offer/);
      const large = { offerId: textAt(await bench.offer(), 'offerId'), diskGb: 90_000 };
      await refused(bench, ['create_pod', large], 'offer_gone', /90000 GB.*diskGb/);

      const next = textAt(await bench.offer(), 'offerId');
      const again = quoteIn(await bench.client.call('create_pod', { offerId: next, diskGb: 16 }));
      bench.cloud.faults.add({ kind: 'offer-taken', times: 1 });
      const taken = await bench.client.call('create_pod', { quoteId: again, waitSeconds: 20 });
      expect(taken).toMatchObject({
        status: 'failed',
        attempts: [{ offerId: next, cleanup: 'nothing_created' }],
      });
      nothingLeft(bench.cloud);
    },
    LIMIT,
  );

  it(
    'a price that rose between search, quote and order is refused, and nothing is rented',
    async () => {
      await using bench = await open();
      const offerId = textAt(await bench.offer(), 'offerId');
      const quoteId = quoteIn(await bench.client.call('create_pod', { offerId }));
      bench.cloud.faults.add({ kind: 'price-rise', value: 2 });
      const answer = await bench.client.tool('create_pod', { quoteId, waitSeconds: 20 });
      expect(JSON.stringify(answer.data)).toMatch(/price_changed|agreed|price/);
      expect(
        answer.isError || answer.data['status'] === 'failed',
        JSON.stringify(answer.data),
      ).toBe(true);
      nothingLeft(bench.cloud);
      expect(bench.cloud.books().instances).toEqual([]);
    },
    LIMIT,
  );

  it(
    'a bid below the lowest names the lowest; an interruptible offer without a bid is not rented on demand (vast.md 16.8)',
    async () => {
      await using bench = await open();
      const offer = await bench.offer({ interruptible: true });
      const offerId = textAt(offer, 'offerId');
      const lowest = numberAt(offer, 'minBidUsdPerHour');
      const low = { offerId, bidUsdPerHour: lowest / 2 };
      await refused(bench, ['create_pod', low], 'invalid_input', new RegExp(lowest.toFixed(2)));
      await refused(bench, ['create_pod', { offerId }], 'invalid_input', /bidUsdPerHour/);
      const high = { offerId, bidUsdPerHour: 129 };
      await refused(bench, ['create_pod', high], 'invalid_input', /128|limit/);

      const fair = { offerId, bidUsdPerHour: lowest * 1.1 };
      const quoteId = quoteIn(await bench.client.call('create_pod', fair));
      bench.cloud.faults.add({ kind: 'create-failed-with-contract', times: 1 });
      const lost = await bench.client.call('create_pod', { quoteId, waitSeconds: 30 });
      expect(lost).toMatchObject({ status: 'failed' });
      nothingLeft(bench.cloud);
      expect(bench.cloud.books().instances).toMatchObject([{ state: 'destroyed' }]);
    },
    LIMIT,
  );
});

describe.concurrent('wishes that cannot be met', () => {
  it(
    'vastQuery: the place of the mistake and the way to write it',
    async () => {
      await using bench = await open();
      const ask = (vastQuery: string) =>
        ['find_offer', { providers: ['vast'], vastQuery }] as const;
      const rows: readonly [string, RegExp][] = [
        ['gpu_ram>=24 num_gpus=', /2\d/],
        ['pytorch', /position|character|operator/i],
        ['gpu_name=RTX 4090', /quot|_/],
        ['gpu_ramm>=24', /gpu_ram\b/],
        ['num_gpus in [1,2', /\]|list/],
        ['gpu_ram>=lots', /number/],
      ];
      for (const [query, fix] of rows) {
        const answer = await refused(bench, ask(query), 'invalid_input', fix);
        expect(textAt(answer, 'message'), query).toMatch(/\d/);
      }
    },
    LIMIT,
  );

  it(
    'templates: none, without SSH, and several of one name',
    async () => {
      await using bench = await open();
      const offerId = textAt(await bench.offer(), 'offerId');
      const template = { image: 'a/b', name: 'no ssh', runtype: 'args' };
      await bench.console('POST', '/api/v0/template/', template);
      for (const tag of ['1', '2'])
        await bench.console('POST', '/api/v0/template/', {
          ...{ image: 'a/b', tag, name: 'twice', runtype: 'ssh', use_ssh: true, ssh_direct: true },
        });
      const order = (name: string) => ['create_pod', { offerId, template: name }] as const;
      await refused(bench, order('nobody made this'), 'not_found', /template/);
      await refused(bench, order('no ssh'), 'unsupported', /SSH/);
      const several = await refused(bench, order('twice'), 'invalid_input', /hash/);
      expect(textAt(several, 'foreignText')).toContain('a/b');
      const both = { offerId, template: 'x', image: 'a/b' };
      await refused(bench, ['create_pod', both], 'invalid_input', /image.*template/);
    },
    LIMIT,
  );

  it(
    'boot scripts that are too long or hold a token, and a login that nobody configured',
    async () => {
      await using bench = await open();
      const offerId = textAt(await bench.offer(), 'offerId');
      const order = (setup: string) => ['create_pod', { offerId, setup }] as const;
      await refused(bench, order('x'.repeat(16_384)), 'too_large', /sync_files/);
      await refused(bench, order(`export HF_TOKEN=${TOKEN}`), 'secret_refused', /secretEnv/);
      const login = { offerId, image: 'a/b', registryAuth: 'NOT_SET' };
      await refused(bench, ['create_pod', login], 'config_missing', /NOT_SET|registryAuth/);
    },
    LIMIT,
  );

  it.each(['manifest-unknown', 'pull-denied'])(
    'an image that cannot be pulled (%s) costs one host, not three, and says that the image is to blame',
    async (kind) => {
      await using bench = await open();
      const found = await bench.client.call('find_offer', { providers: ['vast'], limit: 3 });
      const offerIds = listAt(found, 'offers').map((offer) => textAt(offer, 'offerId'));
      bench.cloud.faults.add({ kind });
      const terms = { offerIds, image: 'nobody/has-this:1.0' };
      const quoteId = quoteIn(await bench.client.call('create_pod', terms));
      const created = await bench.client.call('create_pod', { quoteId, waitSeconds: 45 });
      const attempts = await attemptsOf(bench, created);
      expect(JSON.stringify(attempts)).toMatch(/image|registry|login/i);
      const told = await bench.client.call('diagnose', { podId: textAt(attempts, '0.podId') });
      expect(told['verdict'], JSON.stringify(told)).not.toBe('ok');
      expect(JSON.stringify(listAt(told, 'findings'))).toMatch(/image|pull|registry/i);
      expect(bench.cloud.books().instances).toMatchObject([{ state: 'destroyed' }]);
      const wrong = { offerId: offerIds[2], image: 'not an image' };
      await refused(bench, ['create_pod', wrong], 'invalid_input', /image/);
    },
    LIMIT,
  );

  it(
    'volumes: of nobody, on another machine, attached to another pod, larger than the machine',
    async () => {
      await using bench = await open();
      const offer = await bench.offer();
      const offerId = textAt(offer, 'offerId');
      const order = (volume: string) => ['create_pod', { offerId, volume }] as const;
      await refused(bench, order('V.999:/data'), 'not_found', /list_pods/);
      await refused(bench, order('new:90000:/data'), 'unsupported', /smaller|offer/);
      await refused(bench, order('new:20:data'), 'invalid_input', /path|\/data/);
      const { offers } = await bench.console('POST', '/api/v0/volumes/search/', {});
      const elsewhere = (offers as { id: number; machine_id: number }[]).find(
        ({ machine_id: machine }) => String(machine) !== textAt(offer, 'machineId'),
      );
      const made = await bench.console('PUT', '/api/v0/volumes/', {
        id: elsewhere?.id,
        size: 10,
        name: 'far',
      });
      const volume = `V.${String(made['volume_id'])}`;
      const answer = await bench.client.tool('create_pod', { offerId, volume: `${volume}:/data` });
      expect(answer).toMatchObject({ isError: true, data: { code: 'unsupported' } });
      expect(textAt(answer.data, 'hint')).toContain(`machine_id=${elsewhere?.machine_id ?? ''}`);
      expect(bench.cloud.books().instances).toMatchObject([{ kind: 'volume' }]);
      expect(
        await bench.client.call('destroy', {
          podId: `vast:${volume}`,
          discardUnfetched: true,
          reason: 'made by this test',
        }),
      ).toMatchObject({ outcome: 'gone' });
      nothingLeft(bench.cloud);
    },
    LIMIT,
  );
});
