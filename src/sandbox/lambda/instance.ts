import type { Fault } from '../faults.ts';
import type { Door } from '../vast/door.ts';
import type { Kind, Region } from './catalog.ts';
import type { LambdaFault } from './fault-kinds.ts';

export type Status =
  | 'booting'
  | 'active'
  | 'unhealthy'
  | 'terminating'
  | 'terminated'
  | 'preempted';

export interface Mount {
  readonly fileSystemId: string;
  readonly fileSystemName: string;
  readonly mountPoint: string;
  readonly isCustom: boolean;
}
export interface Tag {
  readonly key: string;
  readonly value: string;
}

/** A machine that was launched. Mutable: it is the one record of its life. */
export interface Instance {
  readonly id: string;
  readonly meterId: string;
  readonly kind: Kind;
  readonly region: Region;
  /** Cents an hour, as launched. */
  readonly centsPerHour: number;
  readonly keyName: string;
  readonly publicKey: string;
  readonly userData: string | undefined;
  readonly hostname: string;
  readonly tags: readonly Tag[];
  readonly mounts: readonly Mount[];
  readonly jupyterToken: string;
  readonly createdAt: number;
  /** Scripted for it and still to come. */
  readonly faults: Map<LambdaFault, Fault>;
  name: string | undefined;
  status: Status;
  /** When it was active, from which on it is charged. */
  activeAt: number | undefined;
  /** Another action runs: a restart. */
  isBusy: boolean;
  /** When nothing was charged any more. */
  endedAt: number | undefined;
  /** When it was `terminated`. */
  terminatedAt: number | undefined;
  /** Lists leave it out, and its id is unknown, until then. */
  listedAt: number;
  knownAt: number;
  machineStarted: boolean;
  machineFailed: boolean;
  door: Door | undefined;
  readonly timers: Set<() => void>;
}

export const isLiving = ({ status }: Instance): boolean =>
  status === 'booting' || status === 'active' || status === 'unhealthy';
