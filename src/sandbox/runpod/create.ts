import type { Fault } from '../faults.ts';
import { rounded } from '../vast/dice.ts';
import { BOOT_FAULT_KINDS, type RunpodFault } from './fault-kinds.ts';
import type { Life } from './life.ts';
import { type Host, minBidPerGpu, usdPerGpu, wordOf } from './market.ts';
import { place, type Wish } from './place.ts';
import type { Pod, PodOrder } from './pod.ts';
import { LOW_BALANCE, NO_SPOT, Refusal, WRONG } from './refusal.ts';
import { accountKeys, creditUsd, sizeOf, strikes, type World } from './world.ts';

const MAX_ENV = 50;
const MAX_HTTP_PORTS = 10;
const MAX_NAME = 191;

export interface Rental {
  readonly name: string;
  readonly wish: Wish;
  readonly order: PodOrder;
  readonly stopAt?: number | undefined;
  readonly terminateAt?: number | undefined;
  /** "POST /v2/pods", as faults name it. */
  readonly route: string;
}

/**
 * Rents a pod. Throws a `Refusal`. `undefined`: the cloud says that it did, and did not.
 */
export function rent(world: World, life: Life, rental: Rental): Pod | undefined {
  const { wish, order, route, name } = rental;
  check(order, name);
  const subject = {
    offerId: wish.gpuTypeIds[0],
    route: [route, ...wish.clouds, ...wish.gpuTypeIds, ...wish.dataCenterIds].join(' '),
  };
  if (strikes(world, 'create-wrong', subject) !== undefined) throw new Refusal('internal', WRONG);
  if (strikes(world, 'no-credit', subject) !== undefined) throw new Refusal('balance', LOW_BALANCE);
  const host = place(world, wish, route);
  const count = wish.count ?? 1;
  const usdPerHour = priceOf(world, host, wish, count);
  // An hour of it has to be paid for.
  if (creditUsd(world) < usdPerHour) throw new Refusal('balance', LOW_BALANCE);
  if (strikes(world, 'create-null', subject) !== undefined) return undefined;
  const pod = newPod(world, host, rental, usdPerHour);
  life.begin(pod);
  return pod;
}

function check(order: PodOrder, name: string): void {
  if (name.length > MAX_NAME) throw new Refusal('invalid', 'name is too long');
  if (order.image === '') throw new Refusal('invalid', 'imageName is required');
  if (order.env.size > MAX_ENV) throw new Refusal('invalid', 'too many environment variables');
  for (const port of order.ports)
    if (!/^\d{1,5}\/(?:tcp|http)$/.test(port))
      throw new Refusal('invalid', `invalid port: ${port}`);
  if (order.ports.filter((port) => port.endsWith('/http')).length > MAX_HTTP_PORTS)
    throw new Refusal('invalid', 'too many http ports');
}

function priceOf(world: World, host: Host, { bidPerGpu }: Wish, count: number): number {
  const rise = strikes(world, 'price-rise', {
    offerId: host.gpu.id,
    machineId: host.machineId,
  });
  const factor = rise === undefined ? 1 : sizeOf(rise, 1.5);
  if (bidPerGpu === undefined) return rounded(usdPerGpu(host.gpu, host.cloud) * count * factor, 4);
  if (bidPerGpu < minBidPerGpu(host.gpu, host.cloud) * factor)
    throw new Refusal('no-capacity', NO_SPOT);
  return rounded(bidPerGpu * count, 4);
}

/** The account's keys come in at boot, where SSH is asked for and the order brings none of its own. */
function injectedInto(
  world: World,
  { env, startSsh, startJupyter }: PodOrder,
): Map<string, string> {
  const injected = new Map<string, string>();
  const keys = accountKeys(world);
  if (startSsh && !env.has('PUBLIC_KEY') && keys.length > 0)
    injected.set('PUBLIC_KEY', keys.join('\n'));
  if (startJupyter && !env.has('JUPYTER_PASSWORD'))
    injected.set('JUPYTER_PASSWORD', wordOf(world.dice, 20));
  return injected;
}

function newPod(world: World, host: Host, rental: Rental, usdPerHour: number): Pod {
  const id = wordOf(world.dice, 14);
  const now = world.clock.nowSeconds();
  const place = [host.cloud, host.gpu.id, host.dataCenter?.id ?? host.country].join(' ');
  const subject = {
    offerId: host.gpu.id,
    machineId: host.machineId,
    route: `${rental.route} ${place}`,
  };
  const faults = new Map<RunpodFault, Fault>();
  for (const kind of BOOT_FAULT_KINDS) {
    const fault = strikes(world, kind, subject);
    if (fault !== undefined) faults.set(kind, fault);
  }
  const lag = strikes(world, 'list-lag', subject);
  const apiKey = `rpa_${wordOf(world.dice, 40).toUpperCase()}`;
  const { order } = rental;
  const injected = injectedInto(world, order);
  const pod: Pod = {
    id,
    meterId: `runpod:${id}`,
    host,
    gpuCount: rental.wish.count ?? 1,
    isBid: rental.wish.bidPerGpu !== undefined,
    apiKey,
    podHostId: `${id}-6441${world.dice.hex(4)}`,
    createdAt: now,
    stopAt: rental.stopAt,
    terminateAt: rental.terminateAt,
    faults,
    visibleAt: lag === undefined ? now : now + sizeOf(lag, 20),
    name: rental.name,
    order: { ...order, env: new Map([...order.env, ...injected]) },
    injected: [...injected.keys()],
    usdPerHour,
    desired: 'RUNNING',
    phase: 'PROVISIONING',
    runtime: null,
    oldPorts: null,
    flap: false,
    lastStatusChange: '',
    startedAt: undefined,
    containerAt: undefined,
    holdsGpu: true,
    locked: false,
    endedAt: undefined,
    log: [],
    containerLines: 0,
    logCount: 0,
    timers: new Set(),
    machineRun: 0,
    machineStarted: false,
    machineFailed: false,
    doors: new Map(),
  };
  world.pods.set(id, pod);
  world.apiKeys.set(apiKey, { key: apiKey, graphql: 'write', rest: 'none', podId: id });
  return pod;
}
