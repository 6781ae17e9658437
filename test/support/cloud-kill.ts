import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

import { setTimeout as pause } from 'node:timers/promises';
import type { FaultRule, SandboxBooks, SandboxOptions } from '../../src/core/sandbox.ts';
import type { FaultBook } from '../../src/sandbox/faults.ts';
import { BuiltServer, listAt, sandbox, textAt } from './built-server.ts';
import { startLambdaSandbox } from './lambda-sandbox.ts';
import { randomFrom } from './random.ts';
import { startRunpodSandbox } from './runpod-sandbox.ts';
import { startVastSandbox } from './vast-sandbox.ts';

export const CLOUDS = ['vast', 'runpod', 'lambda'] as const;
export type KilledCloud = (typeof CLOUDS)[number];

interface FakeCloud extends AsyncDisposable {
  readonly url: string;
  readonly faults: FaultBook;
  books(): SandboxBooks['clouds'][number];
}
interface CloudTraits {
  readonly start: (options: SandboxOptions) => Promise<FakeCloud>;
  /** What a server needs to use it, by the road that leads there from this origin. */
  readonly variables: (cloud: FakeCloud, origin: string) => Readonly<Record<string, string>>;
  /** What is asked of find_offer. */
  readonly search: Readonly<Record<string, unknown>>;
  readonly isOrder: (line: string, body: string) => boolean;
  /** How many requests a creation needs, about: the order is in the middle of them. */
  readonly requests: number;
  /** Faults of the first candidate, so that another follows. */
  readonly badHost: readonly FaultRule[];
}
const LOOSE = { minReliability: 0, minVramGb: 8, diskGb: 16 };
const TRAITS: Readonly<Record<KilledCloud, CloudTraits>> = {
  vast: {
    start: async (options) => startVastSandbox(options),
    variables: (cloud, origin) => ({ VAST_API_KEY: keyOf(cloud), VAST_URL: origin }),
    search: { vastQuery: 'verified=any direct_port_count>=1', minReliability: 0 },
    isOrder: (line) => line.startsWith('PUT /api/v0/asks/'),
    requests: 12,
    badHost: [{ kind: 'oci-error', times: 1 }],
  },
  runpod: {
    start: async (options) => startRunpodSandbox(options),
    variables: (cloud, origin) => ({
      RUNPOD_API_KEY: keyOf(cloud),
      RUNPOD_GRAPHQL_URL: `${origin}/graphql`,
      RUNPOD_REST_API_URL: `${origin}/v1`,
      RUNPOD_REST_V2_API_URL: `${origin}/v2`,
    }),
    search: LOOSE,
    isOrder: (line, body) =>
      body.includes('podFindAndDeployOnDemand') || /^POST \/v[12]\/pods$/.test(line),
    requests: 20,
    badHost: [{ kind: 'exits', afterSeconds: 0, times: 1 }],
  },
  lambda: {
    start: async (options) => startLambdaSandbox(options),
    variables: (cloud, origin) => ({ LAMBDA_API_KEY: keyOf(cloud), LAMBDA_API_URL: origin }),
    search: LOOSE,
    isOrder: (line) => line === 'POST /api/v1/instance-operations/launch',
    requests: 14,
    badHost: [{ kind: 'launch-fails-with-instance', times: 1 }],
  },
};
const keyOf = (cloud: FakeCloud): string =>
  'apiKey' in cloud && typeof cloud.apiKey === 'string' ? cloud.apiKey : '';

/** When the server dies. Requests to the cloud are counted from the call of create_pod. */
export type Moment =
  | { readonly kind: 'time'; readonly milliseconds: number }
  /** The request is on its way, and never arrives. */
  | { readonly kind: 'before'; readonly request: number }
  /** What was asked for is done, and the answer finds nobody. */
  | { readonly kind: 'after'; readonly request: number }
  /** The order is under way when the server dies, and is carried out so much later. */
  | { readonly kind: 'late'; readonly seconds: number }
  /** The connection breaks after the order was carried out, and the server dies while it looks for what became of it. */
  | { readonly kind: 'link'; readonly milliseconds: number }
  /** The server is not killed but held for so long, its order under way, while another one and the agent clear up. */
  | { readonly kind: 'frozen'; readonly seconds: number };

export interface KillPlan {
  readonly cloud: KilledCloud;
  readonly seed: number;
  readonly moment: Moment;
  /** The first of three candidates is bad. */
  readonly isFirstBad?: boolean;
  /** Real ones, or ports that refuse. */
  readonly machines?: 'pods' | 'none';
}
export interface KillResult {
  /** What the server was doing when it died, as the cloud saw it. */
  readonly during: string;
  /** Charged, and never told of by the next server. */
  readonly orphans: readonly string[];
  /** Moments at which more than one machine of the one creation was charged. */
  readonly doubles: number;
  /** From the start of the next server, or from the late order, until it told of all that is charged; absent: nothing was. */
  readonly secondsToKnown?: number;
  /** Still charged when the agent had ended all that it was told of. */
  readonly left: readonly string[];
  /** All that the cloud made for the one creation, failed ones too. */
  readonly machines: number;
  /** Calls of the agent. */
  readonly calls: number;
}

const KNOWN_WITHIN_SECONDS = 60;
const MOST_CALLS = 40;
/** A failed pod that nobody replaced is replaced by the next server after this long, at the most. */
const TAKE_OVER_SECONDS = 35;

/** Creates a pod, kills the server in the middle of it, and lets another server and an agent clear up. */
export async function killDuringCreate(plan: KillPlan): Promise<KillResult> {
  const traits = TRAITS[plan.cloud];
  await using cloud = await traits.start({
    speed: 60,
    seed: plan.seed,
    offers: 40,
    machines: plan.machines ?? 'pods',
  });
  const rented = () => cloud.books().instances.filter(({ kind }) => kind !== 'volume');
  // One that boots is charged soon, where it is not charged yet.
  const charged = (): readonly string[] =>
    rented()
      .filter(
        ({ endedAtSeconds, state }) => endedAtSeconds === undefined && state !== 'terminating',
      )
      .map(({ id }) => `${plan.cloud}:${id}`);
  let doubles = 0;
  const watch = setInterval(() => {
    if (charged().length > 1) doubles += 1;
  }, 20);
  try {
    await using box = await sandbox();
    await using link = await killingLink(cloud, plan.moment, traits.isOrder);
    const start = {
      ...box,
      env: {
        ...traits.variables(cloud, link.url),
        GPU_LEASE_AUTO_APPROVE_USD: '100000',
      },
    };
    await using first = await BuiltServer.start(start);
    const found = await first.call('find_offer', {
      ...traits.search,
      providers: [plan.cloud],
    });
    const offerIds = listAt(found, 'offers').map((offer) => textAt(offer, 'offerId'));
    if (offerIds.length < 3) throw new Error('There are too few offers.');
    for (const rule of plan.isFirstBad === true ? traits.badHost : []) cloud.faults.add(rule);
    link.arm(first);
    const lost = first
      .tool('create_pod', { offerIds: offerIds.slice(0, 3), waitSeconds: 45 })
      .catch(() => undefined);
    if (plan.moment.kind === 'time') {
      await pause(plan.moment.milliseconds);
      await first.kill9();
    }
    const isFrozen = plan.moment.kind === 'frozen';
    await Promise.race([lost, once(first.child, 'exit'), ...(isFrozen ? [link.struck] : [])]);
    if (!isFrozen) {
      // A moment that never came: then it dies with its pod just ready.
      await first.kill9();
      await lost;
    }
    const during = link.last();

    const restarted = Date.now();
    await using next = await BuiltServer.start(start);
    let calls = 0;
    const told = async (): Promise<readonly string[]> => {
      calls += 1;
      const listed = await next.tool('list_pods', {});
      if (listed.isError) return [];
      return listAt(listed.data, 'pods')
        .filter((pod) => textAt(pod, 'mode') === 'managed')
        .map((pod) => textAt(pod, 'podId'));
    };
    let secondsToKnown: number | undefined;
    let chargedAt: number | undefined;
    let orphans: readonly string[] = [];
    const limit = restarted + KNOWN_WITHIN_SECONDS * 1000;
    const lateUntil =
      plan.moment.kind === 'late' ? restarted + plan.moment.seconds * 1000 + 1500 : restarted;
    for (;;) {
      const known = await told();
      const now = Date.now();
      const living = charged();
      orphans = living.filter((podId) => !known.includes(podId));
      if (living.length > 0) chargedAt ??= now;
      if (chargedAt !== undefined && orphans.length === 0 && secondsToKnown === undefined)
        secondsToKnown = (Date.now() - Math.max(restarted, link.lateAt() ?? 0)) / 1000;
      if ((orphans.length === 0 && now >= lateUntil) || now >= limit) break;
      await pause(200);
    }

    const clear = async (): Promise<void> => {
      for (let round = 0; round < MOST_CALLS; round += 1) {
        const known = await told();
        if (known.length === 0) return;
        for (const podId of known) {
          calls += 1;
          await next.tool('destroy', { podId, waitSeconds: 45 });
        }
      }
    };
    await clear();
    if (isFrozen) {
      await lost;
      await clear();
    }
    if (plan.isFirstBad === true) {
      const end = Date.now() + TAKE_OVER_SECONDS * 1000;
      while (Date.now() < end && charged().length === 0) await pause(200);
      await clear();
    }
    return {
      during,
      orphans,
      doubles,
      left: charged(),
      machines: rented().length,
      calls,
      ...(secondsToKnown === undefined ? {} : { secondsToKnown }),
    };
  } finally {
    clearInterval(watch);
  }
}

interface KillingLink extends AsyncDisposable {
  readonly url: string;
  /** From now on requests are counted, and this server is killed when its moment comes. */
  arm(victim: BuiltServer): void;
  /** The server was frozen. */
  readonly struck: Promise<void>;
  /** The last request that began before the kill. */
  last(): string;
  /** When the order that was under way arrived; milliseconds since the epoch. */
  lateAt(): number | undefined;
}

/** The road from the server to the cloud, on which it dies. */
async function killingLink(
  cloud: FakeCloud,
  moment: Moment,
  isOrderOf: CloudTraits['isOrder'],
): Promise<KillingLink> {
  let victim: BuiltServer | undefined;
  let isDone = false;
  let count = 0;
  let last = 'no request';
  let lateAt: number | undefined;
  let strike = (): void => undefined;
  const struck = new Promise<void>((resolve) => {
    strike = resolve;
  });
  const late = new Set<Promise<unknown>>();

  const forward = async (request: IncomingMessage, body: Buffer): Promise<Response> =>
    fetch(`${cloud.url}${request.url ?? '/'}`, {
      method: request.method ?? 'GET',
      headers: {
        authorization: request.headers.authorization ?? '',
        accept: request.headers.accept ?? '*/*',
        'content-type': 'application/json',
      },
      ...(body.length === 0 ? {} : { body }),
    });
  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const body = Buffer.concat(parts);
    const line = `${request.method ?? ''} ${(request.url ?? '').split('?')[0]}`;
    const isOrder = isOrderOf(line, body.toString());
    const killer = isDone ? undefined : victim;
    if (killer !== undefined) {
      count += 1;
      last = `${count}: ${isOrder ? 'the order' : line}`;
      if (moment.kind === 'before' && count >= moment.request) {
        isDone = true;
        await killer.kill9();
        return;
      }
      if (moment.kind === 'frozen' && isOrder) {
        isDone = true;
        killer.child.kill('SIGSTOP');
        strike();
        await pause(moment.seconds * 1000);
        killer.child.kill('SIGCONT');
        lateAt = Date.now();
      }
      if (moment.kind === 'late' && isOrder) {
        isDone = true;
        await killer.kill9();
        late.add(
          pause(moment.seconds * 1000).then(async () => {
            lateAt = Date.now();
            return forward(request, body);
          }),
        );
        return;
      }
    }
    const answer = await forward(request, body);
    const type = answer.headers.get('content-type') ?? 'application/json';
    // A log that never ends is passed on as it comes.
    if (type.includes('event-stream') && answer.body !== null) {
      response.writeHead(answer.status, { 'content-type': type });
      await pipeline(Readable.fromWeb(answer.body), response);
      return;
    }
    const text = Buffer.from(await answer.arrayBuffer());
    if (killer !== undefined && moment.kind === 'after' && count >= moment.request) {
      isDone = true;
      await killer.kill9();
      return;
    }
    if (killer !== undefined && moment.kind === 'link' && isOrder) {
      isDone = true;
      request.socket.destroy();
      await pause(moment.milliseconds);
      await killer.kill9();
      return;
    }
    response.writeHead(answer.status, { 'content-type': type });
    response.end(text);
  };
  const server = createServer((request, response) => {
    response.on('error', () => undefined);
    void handle(request, response).catch(() => response.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arm(next) {
      victim = next;
    },
    struck,
    last: () => last,
    lateAt: () => lateAt,
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
      await Promise.allSettled(late);
    },
  };
}

/** As many moments as asked for, the same for the same seed: times, requests before and after, late orders, broken links. */
export function killPlans(cloud: KilledCloud, runs: number, seed: number): readonly KillPlan[] {
  const random = randomFrom(seed);
  const { requests } = TRAITS[cloud];
  const below = (limit: number): number => Math.floor(random() * limit);
  return Array.from({ length: runs }, (_, index): KillPlan => {
    const moments: readonly Moment[] = [
      { kind: 'after', request: 1 + below(requests) },
      { kind: 'time', milliseconds: below(2500) },
      { kind: 'link', milliseconds: below(3000) },
      { kind: 'before', request: 1 + below(requests) },
      { kind: 'late', seconds: 1 + below(10) },
      { kind: 'after', request: requests / 2 + below(requests + 4) },
    ];
    const moment = moments[index % moments.length] ?? { kind: 'time', milliseconds: 500 };
    const isBad = index % moments.length === 5 || below(4) === 0;
    return { cloud, seed: 1 + below(1000), moment, ...(isBad ? { isFirstBad: true } : {}) };
  });
}

/** Some at a time: most of a run is waiting. */
export async function runKills(
  plans: readonly KillPlan[],
  atOnce: number,
  onResult: (plan: KillPlan, result: KillResult) => void = () => undefined,
): Promise<readonly KillResult[]> {
  const results: KillResult[] = [];
  const todo = [...plans.entries()];
  const work = async (): Promise<void> => {
    for (let next = todo.shift(); next !== undefined; next = todo.shift()) {
      const [index, plan] = next;
      const result = await killDuringCreate(plan);
      results[index] = result;
      onResult(plan, result);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  return results;
}
