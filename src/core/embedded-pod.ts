import { z } from 'zod';
import { podIdSchema } from './ids.ts';

/*
 * The folder of an embedded pod is the whole contract between the program that starts pods and the program that is one:
 *   pod.json       what was asked for; written once, before the process starts
 *   deadline.json  when the pod ends itself; rewritten whenever the deadline moves
 *   order.json     what the pod shall be now, by whoever started it
 *   state.json     what the pod says about itself; written by the pod only
 *   lock.json      the one process that serves or ends this pod
 *   home/ tmp/ host_key pod.log
 * Every JSON file is replaced by rename, so a reader never sees half of one.
 */

export const POD_FILES = {
  config: 'pod.json',
  deadline: 'deadline.json',
  order: 'order.json',
  state: 'state.json',
  lock: 'lock.json',
  hostKey: 'host_key',
  home: 'home',
  temp: 'tmp',
  log: 'pod.log',
} as const;

/** Every process of an embedded pod carries this variable with the pod's token. */
export const POD_TOKEN_VARIABLE = 'GPU_LEASE_POD';

/** What a pod takes over from the machine. Not the rest: a rented pod would not know the person's tokens either. */
export const INHERITED_BY_PODS =
  /^(?:PATH|LANG|LANGUAGE|LC_[A-Z]+|TZ|LD_LIBRARY_PATH|DYLD_[A-Z_]+|CUDA_[A-Z_]+|NVIDIA_[A-Z_]+|SSL_CERT_(?:FILE|DIR)|(?:https?|no|HTTPS?|NO)_(?:proxy|PROXY))$/;
/** What the program itself may need besides. */
const OF_PROGRAM = /^(?:HOME|TMPDIR|USER|LOGNAME|SHELL|NODE_[A-Z0-9_]+)$/;

/** The environment of the pod program, which all that runs on the pod can read: without keys and secrets of the person. */
export function podProgramEnvironment(
  outer: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(outer).filter(
      ([name]) =>
        name === POD_TOKEN_VARIABLE || INHERITED_BY_PODS.test(name) || OF_PROGRAM.test(name),
    ),
  );
}

export const embeddedPodConfigSchema = z.object({
  podId: podIdSchema,
  label: z.string(),
  offerId: z.string(),
  podToken: z.string().regex(/^[a-z0-9]{8,64}$/),
  authorizedKeys: z.array(z.string().min(1)).min(1),
  env: z.record(z.string(), z.string()),
  setup: z.string().exactOptional(),
  /** The boot script runs at each start, as that of a container does. Else at the first alone. */
  setupEveryStart: z.boolean().exactOptional(),
  onExpiry: z.enum(['destroy', 'stop']),
  createdAt: z.iso.datetime(),
});
export type EmbeddedPodConfig = Readonly<z.output<typeof embeddedPodConfigSchema>>;

export const embeddedPodDeadlineSchema = z.object({
  deadlineAt: z.iso.datetime({ offset: true }),
  onExpiry: z.enum(['destroy', 'stop']),
});
export type EmbeddedPodDeadline = Readonly<z.output<typeof embeddedPodDeadlineSchema>>;

export const embeddedPodOrderSchema = z.object({
  order: z.enum(['run', 'stop', 'destroy']),
  at: z.iso.datetime(),
});
export type EmbeddedPodOrder = Readonly<z.output<typeof embeddedPodOrderSchema>>;

/** A process that cannot be confused with a later one of the same number. */
export const processIdentitySchema = z.object({
  pid: z.int().positive(),
  /** Opaque: when it started, together with the boot it belongs to. */
  startedAt: z.string().min(1),
});
export type ProcessIdentity = Readonly<z.output<typeof processIdentitySchema>>;

export const embeddedPodHolderSchema = processIdentitySchema.extend({
  role: z.enum(['serve', 'end']),
});
export type EmbeddedPodHolder = Readonly<z.output<typeof embeddedPodHolderSchema>>;

export const embeddedPodStateSchema = z.object({
  status: z.enum(['starting', 'running', 'stopped', 'failed']),
  process: processIdentitySchema,
  port: z.int().exactOptional(),
  /** Base64 of the public key blob. */
  hostKey: z.string().exactOptional(),
  /** Exit code of the boot script; absent while it runs or when there is none. */
  setupExitCode: z.int().exactOptional(),
  /** Something a person should look at, in our own words; empty when it is fine again. */
  alarm: z.string().exactOptional(),
  updatedAt: z.string(),
});
export type EmbeddedPodState = Readonly<z.output<typeof embeddedPodStateSchema>>;
