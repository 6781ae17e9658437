import type { Fault } from '../faults.ts';
import type { Door } from '../vast/door.ts';
import type { RunpodFault } from './fault-kinds.ts';
import type { Host } from './market.ts';

/** What the container is made of, with a template's values filled in. */
export interface PodOrder {
  readonly image: string;
  /** A shell text, or JSON with `cmd` and `entrypoint`; '': what the image says. */
  readonly args: string;
  readonly diskGb: number;
  readonly volumeGb: number;
  readonly mountPath: string;
  readonly networkVolumeId: string | null;
  readonly ports: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly startSsh: boolean;
  readonly startJupyter: boolean;
  readonly registryId: string | null;
  readonly templateId: string | null;
  /** `undefined`: not said. */
  readonly supportPublicIp: boolean | undefined;
  readonly globalNetworking: boolean;
}

export interface PortRow {
  readonly ip: string;
  readonly isIpPublic: boolean;
  readonly privatePort: number;
  readonly publicPort: number;
  readonly type: string;
}
/** What is told of the container. */
export interface Runtime {
  readonly sinceSeconds: number;
  ports: readonly PortRow[] | null;
}
export interface LogLine {
  readonly id: string;
  readonly seconds: number;
  readonly source: 'container' | 'system';
  readonly line: string;
}

/** A pod that was rented. Mutable: it is the one record of its life. */
export interface Pod {
  readonly id: string;
  readonly meterId: string;
  readonly host: Host;
  readonly gpuCount: number;
  readonly isBid: boolean;
  readonly apiKey: string;
  /** "<id>-<8 hex>": its name at the SSH gateway. */
  readonly podHostId: string;
  readonly createdAt: number;
  readonly stopAt: number | undefined;
  readonly terminateAt: number | undefined;
  /** Scripted for it and still to come. */
  readonly faults: Map<RunpodFault, Fault>;
  readonly visibleAt: number;
  /** Names of the variables that the cloud added to the order's own. */
  readonly injected: readonly string[];
  name: string;
  order: PodOrder;
  /** GPU price of all its GPUs, or the bid for them. */
  usdPerHour: number;
  desired: 'RUNNING' | 'EXITED';
  phase: 'PROVISIONING' | 'STARTING' | 'RUNNING' | 'EXITED' | 'ERROR';
  runtime: Runtime | null;
  /** Ports of the start before this one. */
  oldPorts: readonly PortRow[] | null;
  /** Alternates while `runtime-flaps` is on. */
  flap: boolean;
  lastStatusChange: string;
  startedAt: number | undefined;
  /** When the container of this start came up. */
  containerAt: number | undefined;
  holdsGpu: boolean;
  locked: boolean;
  endedAt: number | undefined;
  readonly log: LogLine[];
  containerLines: number;
  logCount: number;
  readonly timers: Set<() => void>;
  /** Counts containers, so that each has a machine of its own. */
  machineRun: number;
  machineStarted: boolean;
  machineFailed: boolean;
  readonly doors: Map<string, Door>;
}
