import { z } from 'zod';
import { providerNameSchema } from './ids.ts';
import type { Lease } from './lease.ts';

/** Whose fault a failure was. Only the host's own keeps it out of later searches. */
export const blameSchema = z.enum(['host', 'image', 'ours', 'unknown']);
export type Blame = z.output<typeof blameSchema>;

const bootSchema = z.object({ leaseId: z.string(), at: z.string(), seconds: z.number() });
const failureSchema = z.object({
  leaseId: z.string(),
  at: z.string(),
  stage: z.string(),
  /** In our own words. */
  reason: z.string(),
  blame: blameSchema,
});

/** What one physical machine did for us. */
export const hostSchema = z.object({
  /** "vast:4711": the cloud and its own number of the machine. */
  hostId: z.string(),
  provider: providerNameSchema,
  machineId: z.string(),
  /** How often a pod there became ready. */
  bootCount: z.int().nonnegative(),
  /** The latest of them, oldest first. */
  boots: z.array(bootSchema),
  failureCount: z.int().nonnegative(),
  /** The latest of them, oldest first. */
  failures: z.array(failureSchema),
  /** As last measured on a pod there. */
  downloadMbps: z.number().nonnegative().exactOptional(),
  uploadMbps: z.number().nonnegative().exactOptional(),
  diskMbps: z.number().nonnegative().exactOptional(),
  measuredAt: z.string().exactOptional(),
  /** When a pod there last showed another GPU than was sold. */
  mismatchAt: z.string().exactOptional(),
  changedAt: z.string(),
});
export type Host = Readonly<z.output<typeof hostSchema>>;

/** What was seen when a pod became ready. */
export interface HostFacts {
  /** From the order until the pod was ready. */
  readonly bootSeconds: number;
  /** Where the offer did not tell the machine but the pod did. */
  readonly machineId?: string | undefined;
  readonly downloadMbps?: number | undefined;
  readonly uploadMbps?: number | undefined;
  readonly diskMbps?: number | undefined;
}
export interface HostFailure {
  /** Rung of the readiness ladder. */
  readonly stage: string;
  /** In our own words. */
  readonly reason: string;
  readonly blame: Blame;
  readonly machineId?: string | undefined;
}

/**
 * What machines did for us, remembered over restarts and shared by all servers. A lease counts once, whoever reports it and how
 * often. Leases whose machine nobody told leave no trace.
 */
export interface Hosts {
  succeeded(lease: Lease, facts: HostFacts): Promise<void>;
  failed(lease: Lease, failure: HostFailure): Promise<void>;
  /** Every machine with a history, by `hostId`. */
  all(): Promise<ReadonlyMap<string, Host>>;
}

/** The id under which a machine is remembered; `undefined`: the cloud does not tell machines apart. */
export function hostIdOf({
  provider,
  machineId,
}: {
  readonly provider: string;
  readonly machineId?: string | undefined;
}): string | undefined {
  return machineId === undefined || machineId === '' ? undefined : `${provider}:${machineId}`;
}
