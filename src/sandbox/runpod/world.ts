import type { SandboxClock } from '../clock.ts';
import type { Fault, FaultSubject, Faults } from '../faults.ts';
import type { SandboxMachines } from '../machines.ts';
import type { Meter } from '../meter.ts';
import type { Dice } from '../vast/dice.ts';
import type { DataCenter } from './data-centers.ts';
import type { RunpodFault } from './fault-kinds.ts';
import type { Host } from './market.ts';
import type { RunpodOptions } from './options.ts';
import type { Pod } from './pod.ts';

export type Access = 'none' | 'read' | 'write';
export interface ApiKey {
  readonly key: string;
  readonly graphql: Access;
  readonly rest: Access;
  /** The only pod that it may touch. */
  readonly podId?: string;
}
export interface Template {
  readonly id: string;
  name: string;
  image: string;
  args: string;
  diskGb: number;
  volumeGb: number;
  mountPath: string;
  ports: readonly string[];
  env: ReadonlyMap<string, string>;
  startSsh: boolean;
  startJupyter: boolean;
  registryId: string | null;
  serverless: boolean;
  public: boolean;
  category: 'NVIDIA' | 'AMD' | 'CPU';
  allowedCudaVersions: readonly string[];
  readme: string;
  /** One of the cloud's own. */
  readonly official: boolean;
  readonly createdAt: number;
  lastUsedAt: number;
}
export interface Volume {
  readonly id: string;
  name: string;
  sizeGb: number;
  readonly dataCenter: DataCenter;
  readonly type: 'STANDARD' | 'HIGH_PERFORMANCE';
  readonly createdAt: number;
  deletedAt: number | undefined;
}
/** What is known by its name and told without its value. */
export interface Named {
  readonly id: string;
  readonly name: string;
}
export interface Secret extends Named {
  readonly description: string;
  readonly value: string;
  readonly createdAt: number;
  /** When its value was set last. */
  readonly valueAt: number;
}

/** All that the fake cloud knows; the three APIs are three views of it. */
export interface World {
  readonly clock: SandboxClock;
  readonly machines: SandboxMachines;
  readonly meter: Meter;
  readonly faults: Faults;
  readonly dice: Dice;
  readonly options: RunpodOptions;
  readonly origin: () => string;
  readonly hosts: Host[];
  readonly pods: Map<string, Pod>;
  readonly apiKeys: Map<string, ApiKey>;
  readonly templates: Map<string, Template>;
  readonly volumes: Map<string, Volume>;
  readonly registries: Map<string, Named>;
  readonly secrets: Map<string, Secret>;
  /** The account's public keys: one block, as GraphQL sees it. */
  pubKey: string;
  /** Paid in so far, dollars. */
  paidUsd: number;
}

export const strikes = (
  world: World,
  kind: RunpodFault,
  subject: FaultSubject,
): Fault | undefined => world.faults.next(kind, subject);

/** Rules name a GPU type as the offer. */
export const subjectOf = ({ host }: Pod, route?: string): FaultSubject => ({
  offerId: host.gpu.id,
  machineId: host.machineId,
  route,
});

/** A number that a fault carries, or what it means without one. */
export const sizeOf = (
  { value }: { readonly value?: number | string },
  otherwise: number,
): number => {
  const size = Number(value ?? Number.NaN);
  return Number.isFinite(size) ? size : otherwise;
};

export const livingPods = (world: World): readonly Pod[] =>
  [...world.pods.values()].filter(({ endedAt }) => endedAt === undefined);

/** GPUs of a host that nobody holds. */
export function freeGpus(world: World, host: Host): number {
  let held = 0;
  for (const pod of world.pods.values())
    if (pod.host === host && pod.holdsGpu && pod.endedAt === undefined) held += pod.gpuCount;
  return Math.max(0, host.gpus - held);
}

/** What the account has left, dollars; it may fall below nothing. */
export function creditUsd(world: World): number {
  let spent = 0;
  for (const { meterId } of world.pods.values()) spent += world.meter.spentUsd(meterId);
  for (const { id } of world.volumes.values()) spent += world.meter.spentUsd(volumeMeterId(id));
  return world.paidUsd - spent;
}
export const volumeMeterId = (id: string): string => `runpod:volume:${id}`;

/** One key for each line; blank lines stand between them. */
export const accountKeys = ({ pubKey }: World): readonly string[] =>
  pubKey
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
