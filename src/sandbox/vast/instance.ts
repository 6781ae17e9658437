import type { Fault } from '../faults.ts';
import type { Door } from './door.ts';
import type { VastFault } from './fault-kinds.ts';
import type { Ask } from './market.ts';
import type { Runtype } from './runtype.ts';

export type ActualStatus =
  | 'created'
  | 'loading'
  | 'running'
  | 'stopped'
  | 'frozen'
  | 'exited'
  | 'rebooting'
  | 'recycling'
  | 'unknown'
  | 'offline';

export interface InstanceKey {
  readonly id: number;
  readonly name: string;
  readonly publicKey: string;
}

/** What was ordered, with a template's values filled in. */
export interface Order {
  readonly image: string;
  readonly diskGb: number;
  readonly label: string | null;
  readonly onstart: string | null;
  readonly args: readonly string[];
  readonly env: readonly (readonly [string, string])[];
  readonly runtype: Runtype;
  readonly imageLogin: string | null;
  readonly bidUsdPerHour: number | undefined;
  readonly template: { readonly id: number; readonly hashId: string; readonly name: string } | null;
  readonly mountPath: string | undefined;
  readonly volumeId: number | undefined;
}

/** A contract. Mutable: it is the one record of its life. */
export interface Instance {
  readonly id: number;
  readonly meterId: string;
  readonly ask: Ask;
  readonly diskGb: number;
  readonly isBid: boolean;
  readonly apiKey: string;
  readonly jupyterToken: string;
  readonly createdAt: number;
  /** When its host ends the rental. */
  endAt: number;
  /** Scripted for it and still to come. */
  readonly faults: Map<VastFault, Fault>;
  order: Order;
  label: string | null;
  /** GPU price as contracted, or the bid. */
  usdPerHour: number;
  actual: ActualStatus | null;
  intended: 'running' | 'stopped' | 'frozen';
  cur: 'running' | 'stopped' | 'unloaded' | 'scheduling';
  next: 'running' | 'stopped';
  statusMsg: string | null;
  holdsGpu: boolean;
  /** Waits for a GPU to become free. */
  queued: boolean;
  outbid: boolean;
  /** Its image is there and its container ran once. */
  hasRun: boolean;
  runningAt: number | undefined;
  endedAt: number | undefined;
  /** Lists leave it out until then. */
  visibleAt: number;
  keys: InstanceKey[];
  prepaidUsd: number;
  /** Dollars for bytes that left and came, at the prices of its host. */
  traffic: { readonly outUsd: number; readonly inUsd: number };
  /** Lines of the host's daemon: what happened to the container. */
  daemonLog: string[];
  timers: Set<() => void>;
  /** The machine behind it; a recycled one gets another. */
  machineRun: number;
  machineStarted: boolean;
  /** Set when an order to the machine failed. */
  machineFailed: boolean;
  proxy: Door | undefined;
  /** By "22/tcp". */
  mapped: Map<string, Door>;
}
