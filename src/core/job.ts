import { z } from 'zod';
import type { CallOptions } from './call.ts';
import { type JobId, jobIdSchema, type PodId, podIdSchema } from './ids.ts';
import { type Page, pageSchema } from './page.ts';

export const jobStatusSchema = z.enum([
  'provisioning',
  'syncing',
  'bootstrapping',
  'running',
  'running_unreachable',
  'completed',
  'failed',
  'cancelled',
  'timed_out',
  'lost',
]);
export type JobStatus = z.output<typeof jobStatusSchema>;

/** No further change can come. */
export function isTerminal(status: JobStatus): boolean {
  return ['completed', 'failed', 'cancelled', 'timed_out', 'lost'].includes(status);
}

/** Why a command never ran, in our own words: nobody has an exit code of it. */
export const NOT_STARTED = {
  disk_full: 'It did not start: the disk of the pod is full.',
  folder_missing: 'It did not start: its working folder was gone.',
} as const;
const notStartedSchema = z.enum(['disk_full', 'folder_missing']);
export type NotStarted = z.output<typeof notStartedSchema>;

/** A command that outlives the connection that started it. The truth is on the pod, in `folder`. */
export const jobSchema = z.object({
  jobId: jobIdSchema,
  podId: podIdSchema,
  name: z.string(),
  command: z.string(),
  /** Absolute, on the pod. */
  cwd: z.string(),
  folder: z.string(),
  status: jobStatusSchema,
  exitCode: z.int().exactOptional(),
  signal: z.string().exactOptional(),
  notStarted: notStartedSchema.exactOptional(),
  /** Declared outputs: paths or globs relative to `cwd`. What destroy asks for. */
  artifacts: z.array(z.string()),
  maxRuntimeMinutes: z.number().positive(),
  createdAt: z.string(),
  startedAt: z.string().exactOptional(),
  endedAt: z.string().exactOptional(),
  /** Last time the pod itself told us; the age of `status`. */
  observedAt: z.string().exactOptional(),
  /** Where the logs were copied to on this machine. */
  logsPath: z.string().exactOptional(),
  envNames: z.array(z.string()),
});
export type Job = Readonly<z.output<typeof jobSchema>>;

export const workSchema = z.object({
  state: z.enum(['working', 'waiting', 'stalled', 'finished', 'broken', 'unknown']),
  evidence: z.array(z.string()),
});
export const progressSchema = z.object({
  done: z.number(),
  total: z.number().exactOptional(),
  unit: z.string(),
  percent: z.number().exactOptional(),
  etaSeconds: z.number().exactOptional(),
});
export const findingSchema = z.object({
  code: z.string(),
  class: z.string(),
  retryable: z.enum(['same', 'other_host', 'after_fix', 'wait', 'no']),
  remedy: z.string(),
  /** Foreign text: the line that matched. */
  evidence: z.string().exactOptional(),
});
export type Finding = Readonly<z.output<typeof findingSchema>>;

/** What a job left behind, for the rules that find causes. */
export interface JobEvidence {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode?: number | undefined;
  readonly notStarted?: NotStarted | undefined;
  /** Processes killed by the pod's memory limit while the job ran. */
  readonly oomKills?: number | undefined;
  readonly ended:
    | 'exit'
    | 'timed_out'
    | 'disk_full'
    | 'smoke_failed'
    | 'smoke_timed_out'
    | 'reboot'
    | 'killed';
}

export const jobReportSchema = z.object({
  jobId: jobIdSchema,
  podId: podIdSchema,
  status: jobStatusSchema,
  exitCode: z.int().exactOptional(),
  signal: z.string().exactOptional(),
  work: workSchema,
  progress: progressSchema.exactOptional(),
  runtimeSeconds: z.number().exactOptional(),
  observedAt: z.string().exactOptional(),
  ...pageSchema.shape,
  diagnosis: z.array(findingSchema).exactOptional(),
});
export type JobReport = z.output<typeof jobReportSchema>;

export const LOG_STREAMS = ['bootstrap', 'stdout', 'stderr', 'supervisor'] as const;

export interface JobRequest {
  readonly podId: PodId;
  readonly command: string;
  readonly name?: string | undefined;
  /** Relative to the pod's work folder, or absolute. */
  readonly cwd?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly secretEnv: readonly string[];
  readonly artifacts: readonly string[];
  readonly maxRuntimeMinutes: number;
  readonly smokeCommand?: string | undefined;
}
export interface LogRequest {
  readonly stream: (typeof LOG_STREAMS)[number];
  readonly offset?: number | undefined;
  readonly maxBytes: number;
  readonly tailLines?: number | undefined;
  readonly grep?: string | undefined;
}

export interface Jobs {
  /** Returns within seconds: the job runs on the pod under its own supervisor. */
  start(
    request: JobRequest,
    options: CallOptions,
  ): Promise<{
    readonly job: Job;
    readonly firstLines: string;
    /** One sentence of ours: the pod may end before the job does. */
    readonly warning?: string | undefined;
  }>;
  /** Waits for the end, another phase, a full page of output, or until the time is over. */
  wait(
    jobId: JobId,
    request: {
      readonly waitSeconds: number;
      readonly offset?: number | undefined;
      readonly maxBytes: number;
    },
    options: CallOptions,
  ): Promise<JobReport>;
  logs(
    jobId: JobId,
    request: LogRequest,
    options: CallOptions,
  ): Promise<Page & { readonly status: JobStatus }>;
  cancel(
    jobId: JobId,
    options: CallOptions,
  ): Promise<{ readonly job: Job; readonly processesGone: 'yes' | 'no' | 'unknown' }>;
  /** The record; throws `not_found`. No network. */
  get(jobId: JobId): Promise<Job>;
  /** Newest first. No network. */
  list(podId?: PodId): Promise<readonly Job[]>;
  /** One look at every unfinished job of the pod. Never throws for an unreachable pod: those become `running_unreachable`. */
  refresh(podId: PodId, options: CallOptions): Promise<readonly Job[]>;
  /** Before teardown: copies the logs of every job of the pod home. Never throws for an unreachable pod. */
  collectLogs(podId: PodId, options: CallOptions): Promise<void>;
}
