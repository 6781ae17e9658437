import type { SandboxClock } from '../clock.ts';
import type { Fault, FaultSubject, Faults } from '../faults.ts';
import type { SandboxMachines } from '../machines.ts';
import type { Meter } from '../meter.ts';
import type { Dice } from '../vast/dice.ts';
import type { Region } from './catalog.ts';
import type { LambdaFault } from './fault-kinds.ts';
import { type Instance, isLiving } from './instance.ts';
import type { LambdaOptions } from './options.ts';

export interface Key {
  readonly id: string;
  readonly name: string;
  readonly publicKey: string;
}
export interface FileSystem {
  readonly id: string;
  readonly name: string;
  readonly region: Region;
  readonly createdAt: number;
  bytesUsed: number;
  deletedAt: number | undefined;
}

/** All that the fake cloud knows. */
export interface World {
  readonly clock: SandboxClock;
  readonly machines: SandboxMachines;
  readonly meter: Meter;
  readonly faults: Faults;
  readonly dice: Dice;
  readonly options: LambdaOptions;
  readonly origin: () => string;
  /** "gpu_1x_a10@us-west-1". */
  readonly free: Set<string>;
  /** Times the price, by name of the type. */
  readonly priceFactors: Map<string, number>;
  readonly keys: Map<string, Key>;
  readonly fileSystems: Map<string, FileSystem>;
  readonly instances: Map<string, Instance>;
  firewallRules: readonly unknown[];
  /** Paid in so far, dollars. */
  paidUsd: number;
}

export const newId = (world: World): string => world.dice.hex(32);

/** Whether a fault strikes; asking uses it up. */
export function strikes(world: World, kind: LambdaFault, subject: FaultSubject): Fault | undefined {
  return world.faults.next(kind, subject);
}
export const subjectOf = ({ kind, region, id }: Instance, route?: string): FaultSubject => ({
  offerId: `${kind.name}@${region.name}`,
  machineId: id,
  route,
});

/** A number that a fault carries, or what it means without one. */
export const sizeOf = (fault: { readonly value?: number | string }, otherwise: number): number => {
  const size = Number(fault.value ?? Number.NaN);
  return Number.isFinite(size) ? size : otherwise;
};

export const livingFileSystems = (world: World): readonly FileSystem[] =>
  [...world.fileSystems.values()].filter(({ deletedAt }) => deletedAt === undefined);

/** A file system is held until its machine is `terminated`. */
export const isInUse = (world: World, { id }: FileSystem): boolean =>
  [...world.instances.values()].some(
    (instance) =>
      (isLiving(instance) || instance.status === 'terminating') &&
      instance.mounts.some(({ fileSystemId }) => fileSystemId === id),
  );

export const volumeMeterId = (id: string): string => `lambda:V.${id}`;

/** What the account has left, dollars; it may fall below nothing. */
export function creditUsd(world: World): number {
  let spent = 0;
  for (const { meterId } of world.instances.values()) spent += world.meter.spentUsd(meterId);
  for (const id of world.fileSystems.keys()) spent += world.meter.spentUsd(volumeMeterId(id));
  return world.paidUsd - spent;
}
