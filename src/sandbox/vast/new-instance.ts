import type { Fault } from '../faults.ts';
import { BOOT_FAULT_KINDS, type VastFault } from './fault-kinds.ts';
import type { Instance, Order } from './instance.ts';
import type { Ask } from './market.ts';
import { newId, sizeOf, strikes, subjectOf, type World } from './world.ts';

/**
 * A contract on `ask`, written down but not yet begun: the offer is taken at once, and its GPUs too when it `runs`. It
 * takes the keys that the account has now.
 */
export function newInstance(world: World, ask: Ask, order: Order, runs: boolean): Instance {
  const id = newId(world);
  const now = world.clock.nowSeconds();
  const subject = subjectOf(ask);
  const faults = new Map<VastFault, Fault>();
  for (const kind of BOOT_FAULT_KINDS) {
    const fault = strikes(world, kind, subject);
    if (fault !== undefined) faults.set(kind, fault);
  }
  const lag = strikes(world, 'list-lag', subject);
  const ends = faults.get('rental-ends');
  const apiKey = world.dice.hex(64);
  const instance: Instance = {
    id,
    meterId: `vast:${id}`,
    ask,
    diskGb: order.diskGb,
    isBid: order.bidUsdPerHour !== undefined,
    apiKey,
    jupyterToken: world.dice.hex(64),
    createdAt: now,
    endAt: ends === undefined ? ask.machine.endSeconds : now + (ends.afterSeconds ?? 60),
    faults,
    order,
    label: order.label,
    usdPerHour: order.bidUsdPerHour ?? ask.usdPerHour,
    actual: null,
    intended: 'running',
    // The hardware is allotted when the pull is done.
    cur: 'stopped',
    next: 'running',
    statusMsg: null,
    holdsGpu: runs,
    queued: false,
    outbid: false,
    hasRun: false,
    runningAt: undefined,
    endedAt: undefined,
    visibleAt: lag === undefined ? now : now + sizeOf(lag, 20),
    keys: [...world.accountKeys.values()].map((key) => ({
      id: key.id,
      name: `key-${key.id}`,
      publicKey: key.publicKey,
    })),
    prepaidUsd: 0,
    traffic: { outUsd: 0, inUsd: 0 },
    daemonLog: [],
    timers: new Set(),
    machineRun: 0,
    machineStarted: false,
    machineFailed: false,
    proxy: undefined,
    mapped: new Map(),
  };
  world.instances.set(id, instance);
  const keyId = newId(world);
  world.apiKeys.set(keyId, {
    id: keyId,
    key: apiKey,
    name: `instance-${id}`,
    permissions: undefined,
    instanceId: id,
  });
  return instance;
}
