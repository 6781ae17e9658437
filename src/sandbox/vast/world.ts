import type { SandboxClock } from '../clock.ts';
import type { FaultSubject, Faults } from '../faults.ts';
import type { SandboxMachines } from '../machines.ts';
import type { Meter } from '../meter.ts';
import type { Json } from './answers.ts';
import type { Dice } from './dice.ts';
import type { VastFault } from './fault-kinds.ts';
import type { Instance } from './instance.ts';
import type { Ask, Machine } from './market.ts';
import type { VastOptions } from './options.ts';

export interface AccountKey {
  readonly id: number;
  publicKey: string;
  readonly createdAt: string;
}
export interface ApiKey {
  readonly id: number;
  readonly key: string;
  readonly name: string;
  /** `undefined`: may do everything. */
  readonly permissions: Json | undefined;
  /** The only instance that it may touch. */
  readonly instanceId?: number;
  /** A key of a team has no SSH keys of its own. */
  readonly team?: boolean;
}
export interface Template {
  readonly id: number;
  hashId: string;
  fields: Json;
  readonly createdAt: number;
  readonly creatorId: number;
  countCreated: number;
}
export interface Volume {
  readonly id: number;
  readonly name: string;
  readonly sizeGb: number;
  readonly machine: Machine;
  readonly createdAt: number;
  /** The instance that holds it, and until when it is not free after that one is gone. */
  heldBy: number | undefined;
  deletedAt: number | undefined;
}
export interface LogFile {
  readonly text: () => string;
  /** How many more polls are answered 403. `Infinity`: it never comes. */
  notYet: number;
}

/** All that the fake cloud knows. */
export interface World {
  readonly clock: SandboxClock;
  readonly machines: SandboxMachines;
  readonly meter: Meter;
  readonly faults: Faults;
  readonly dice: Dice;
  readonly options: VastOptions;
  readonly origin: () => string;
  readonly asks: Map<number, Ask>;
  readonly instances: Map<number, Instance>;
  readonly accountKeys: Map<number, AccountKey>;
  readonly apiKeys: Map<number, ApiKey>;
  readonly templates: Map<number, Template>;
  readonly volumes: Map<number, Volume>;
  readonly secrets: Map<string, string>;
  readonly logFiles: Map<string, LogFile>;
  /** Paid in so far, dollars. */
  paidUsd: number;
  nextId: number;
}

/** Ids of everything come from one sequence, as a database would give them. */
export function newId(world: World): number {
  world.nextId += world.dice.integer(1, 9);
  return world.nextId;
}

/** Whether a fault strikes; asking uses it up. */
export function strikes(
  world: World,
  kind: VastFault,
  subject: FaultSubject,
): ReturnType<Faults['next']> {
  return world.faults.next(kind, subject);
}

export const subjectOf = (ask: Ask, route?: string): FaultSubject => ({
  offerId: String(ask.id),
  machineId: String(ask.machine.machineId),
  route,
});

/** A number that a fault carries, or what it means without one. */
export const sizeOf = (fault: { readonly value?: number | string }, otherwise: number): number => {
  const size = Number(fault.value ?? Number.NaN);
  return Number.isFinite(size) ? size : otherwise;
};

export const isHeld = (instance: Instance): boolean =>
  instance.endedAt === undefined && instance.holdsGpu;

/** GPUs of a machine that nobody holds. */
export const freeGpus = (world: World, machine: Machine): number =>
  machine.gpus - (occupancy(world).gpus.get(machine) ?? 0);

/** Whether its GPUs are its own or free, and its bid is high enough. */
export const canStart = (world: World, { ask, holdsGpu, isBid, usdPerHour }: Instance): boolean =>
  (holdsGpu || freeGpus(world, ask.machine) >= ask.count) &&
  (!isBid || usdPerHour >= ask.minBidUsdPerHour);

export const isRented = (world: World, ask: Ask): boolean =>
  [...world.instances.values()].some((one) => one.ask === ask && one.endedAt === undefined);

/** GB of a machine's disk that contracts have taken. */
export function usedDiskGb(world: World, machine: Machine): number {
  return occupancy(world).diskGb.get(machine) ?? 0;
}

/** What living contracts hold now, looked up once for a whole search. */
export interface Occupancy {
  readonly rented: ReadonlySet<Ask>;
  readonly gpus: ReadonlyMap<Machine, number>;
  readonly diskGb: ReadonlyMap<Machine, number>;
}
export function occupancy(world: World): Occupancy {
  const rented = new Set<Ask>();
  const gpus = new Map<Machine, number>();
  const diskGb = new Map<Machine, number>();
  for (const { ask, endedAt, holdsGpu, diskGb: gb } of world.instances.values()) {
    if (endedAt !== undefined) continue;
    rented.add(ask);
    if (holdsGpu) gpus.set(ask.machine, (gpus.get(ask.machine) ?? 0) + ask.count);
    diskGb.set(ask.machine, (diskGb.get(ask.machine) ?? 0) + gb);
  }
  return { rented, gpus, diskGb };
}
export const isRentable = ({ rented, gpus }: Occupancy, ask: Ask): boolean =>
  !rented.has(ask) && ask.machine.gpus - (gpus.get(ask.machine) ?? 0) >= ask.count;

/** GB that a machine still offers for volumes; `null`: it offers none. */
export function freeVolumeGb(world: World, machine: Machine): number | null {
  if (machine.volumeGb === null) return null;
  let free = machine.volumeGb;
  for (const volume of world.volumes.values())
    if (volume.machine === machine && volume.deletedAt === undefined) free -= volume.sizeGb;
  return Math.max(0, free);
}

/** What the account has left, dollars; it may fall below nothing. */
export function creditUsd(world: World): number {
  let spent = 0;
  for (const { meterId } of world.instances.values()) spent += world.meter.spentUsd(meterId);
  for (const { id } of world.volumes.values()) spent += world.meter.spentUsd(volumeMeterId(id));
  return world.paidUsd - spent;
}
export const volumeMeterId = (id: number): string => `vast:V.${id}`;
