import { z } from 'zod';
import type { CallOptions } from './call.ts';
import { type JobId, jobIdSchema, type PodId, podIdSchema } from './ids.ts';

const countSchema = z.object({ files: z.int().nonnegative(), bytes: z.int().nonnegative() });
export const skippedSchema = z.object({ path: z.string(), why: z.string() });

export const syncResultSchema = z.object({
  podId: podIdSchema,
  remotePath: z.string(),
  sent: countSchema,
  unchanged: countSchema,
  deleted: z.array(z.string()),
  skipped: z.array(skippedSchema),
  skippedCount: z.int().nonnegative(),
  wireBytes: z.int().nonnegative().describe('Compressed bytes sent.'),
  seconds: z.number(),
  verified: z.boolean().describe('Every file hashed equal on the pod.'),
  dryRun: z.boolean(),
  warnings: z.array(z.string()).exactOptional().describe('Sent, but likely to fail on the pod.'),
});
export type SyncResult = z.output<typeof syncResultSchema>;

/** Each level includes those before it (VE-01). */
export const PROOF_LEVELS = ['exists', 'size', 'hash', 'structure', 'loaded'] as const;
export const proofSchema = z.enum(PROOF_LEVELS);
export type Proof = z.output<typeof proofSchema>;

export const fetchedFileSchema = z.object({
  path: z.string().describe('Relative to the folder on the pod.'),
  localPath: z.string(),
  bytes: z.int().nonnegative(),
  sha256: z.string(),
  proof: proofSchema,
  problem: z.string().exactOptional(),
  /** Absolute, on this machine: what stood at `localPath` and was not what an earlier fetch put there. */
  keptAs: z.string().exactOptional(),
});
export const fetchResultSchema = z.object({
  podId: podIdSchema,
  jobId: jobIdSchema.exactOptional(),
  manifest: z.object({
    root: z.string().describe('Folder on the pod.'),
    files: z.array(fetchedFileSchema),
    totalFiles: z.int().nonnegative(),
    totalBytes: z.int().nonnegative(),
    manifestPath: z.string().exactOptional().describe('The whole manifest, on this machine.'),
  }),
  missing: z.array(z.string()),
  /** The largest first, at most 200. What was sent there and is as it was sent is not among them. */
  leftOnPod: z.array(z.object({ path: z.string(), bytes: z.int().nonnegative() })),
  /** How many in all. */
  left: z.int().nonnegative(),
  refused: z
    .array(skippedSchema)
    .exactOptional()
    .describe('Matched, but a link, a device or a name that this machine cannot hold.'),
  dryRun: z.boolean(),
});
/** Matches that did not come home for one reason. */
const refusalSchema = z.object({
  why: z.string(),
  count: z.int().positive(),
  /** Something would be lost with the pod: `destroy` asks for it. */
  holdsData: z.boolean(),
});
export type Refusal = Readonly<z.output<typeof refusalSchema>>;
/** All that a fetch answers; a tool shows `fetchResultSchema` of it. */
export const fetchOutcomeSchema = fetchResultSchema.extend({
  /** `refused` by reason, and counted whole. */
  refusals: z.array(refusalSchema).readonly().exactOptional(),
  /** How many of all files have `keptAs`. */
  kept: z.int().positive().exactOptional(),
});
export type FetchResult = z.output<typeof fetchOutcomeSchema>;

/** A file that came home, and the proof that it is the same file. Kept in the store; the teardown gate reads it. */
export const artifactRecordSchema = z.object({
  /** podId + remote absolute path. */
  artifactId: z.string(),
  podId: podIdSchema,
  jobId: jobIdSchema.exactOptional(),
  remotePath: z.string(),
  localPath: z.string(),
  bytes: z.int().nonnegative(),
  sha256: z.string(),
  proof: proofSchema,
  /** Whole, but older than the run it is called a result of: why. */
  stale: z.string().exactOptional(),
  /** When the manifest of that fetch was begun: what was written later may not be in it. */
  fetchedAt: z.string(),
  /** Declared patterns of the job, relative to its folder, of which that fetch brought home everything there was. */
  wholeOf: z.array(z.string()).exactOptional(),
  /** Absolute paths (or patterns, where names have no path) that the last fetch of them saw there and could not bring. */
  heldBack: z.array(z.string()).exactOptional(),
});
export type ArtifactRecord = Readonly<z.output<typeof artifactRecordSchema>>;

/** Said by a gate whose file is neither home nor on the pod: a fetch finds nothing. */
export const NO_FILE_MATCHES = 'no file on the pod matches';

/** One reason why a pod may not be destroyed yet. */
export const gateSchema = z.object({
  gate: z.enum([
    'job_running',
    'artifact_not_fetched',
    'artifact_changed',
    'artifact_not_home',
    'artifact_broken',
    'not_checked',
  ]),
  jobId: jobIdSchema.exactOptional(),
  path: z.string().exactOptional(),
  why: z.string(),
});
export type Gate = Readonly<z.output<typeof gateSchema>>;

export interface SyncRequest {
  readonly podId: PodId;
  readonly localPath: string;
  readonly remotePath: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
  readonly delete: boolean;
  readonly dryRun: boolean;
  readonly allowSecrets: readonly string[];
}
export interface FetchRequest {
  /** `jobId`: the job's declared artifacts, below its folder. Else `paths` below the pod's work folder. */
  readonly podId: PodId;
  readonly jobId?: JobId | undefined;
  readonly paths: readonly string[];
  readonly localPath: string;
  readonly exclude: readonly string[];
  readonly verify: Proof | 'load';
  /** A declared path with no file is an error instead of an entry in `missing`. */
  readonly strict: boolean;
  readonly dryRun: boolean;
}

export interface Files {
  sync(request: SyncRequest, options: CallOptions): Promise<SyncResult>;
  fetch(request: FetchRequest, options: CallOptions): Promise<FetchResult>;
  /**
   * What still forbids destroying the pod: running jobs, declared artifacts that are not home, no longer equal to the
   * pod's, or not proven. Looks at the pod when it can; when it cannot, `not_checked` says so unless all is proven home.
   */
  gates(podId: PodId, options: CallOptions): Promise<readonly Gate[]>;
}
