import { createHash } from 'node:crypto';
import { z } from 'zod';
import { proofSchema } from './files.ts';
import { podIdSchema, providerNameSchema } from './ids.ts';
import { endingSchema, receiptVolumesSchema, waiverSchema } from './lease.ts';
import { lostOutputSchema } from './unfetched.ts';

export const RECEIPT_FORMAT = 'gpu-lease receipt 1';

const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/);

/** A folder that was sent to the pod, and what git knew of it at that time. Read by us, without git and its hooks. */
export const codeRecordSchema = z.object({
  podId: podIdSchema,
  localPath: z.string(),
  remotePath: z.string(),
  syncedAt: z.string(),
  files: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  /** Absent: no commit, or none that could be read. */
  commit: z.string().exactOptional(),
  branch: z.string().exactOptional(),
  /**
   * Of the files that git tracks below the folder: `clean` as committed, `changed` not, `unknown` could not be told, `no_git`
   * no repository. Files that git does not track are not looked at.
   */
  tracked: z.enum(['clean', 'changed', 'unknown', 'no_git']),
});
export type CodeRecord = Readonly<z.output<typeof codeRecordSchema>>;

/** What one pod cost and left, as it stands in the chain of receipts. Written once and never changed. */
export const sealedReceiptSchema = z.object({
  format: z.literal(RECEIPT_FORMAT),
  /** Of the state folder. */
  chain: z.string(),
  /** From 1, without a gap. */
  sequence: z.int().positive(),
  /** sha256 of the receipt before. Absent: this is the first. */
  previous: sha256Schema.exactOptional(),
  /**
   * `amended`: a later fact of the same end. `withdrawn`: the pod was seen again, so the receipt spoke too early. `given_up`: the
   * lease counts no more, and nobody saw the pod gone.
   */
  kind: z.enum(['ended', 'amended', 'withdrawn', 'given_up']),
  /** sha256 of the receipt of the same pod that counts no more. */
  supersedes: sha256Schema.exactOptional(),
  writtenAt: z.string(),
  lease: z.object({
    leaseId: z.string(),
    label: z.string(),
    podId: podIdSchema,
    name: z.string(),
    provider: providerNameSchema,
    offerId: z.string(),
    machineId: z.string().exactOptional(),
    gpu: z.string().exactOptional(),
    gpuCount: z.int().nonnegative(),
    region: z.string(),
    rehearsal: z.boolean(),
    quoteId: z.string().exactOptional(),
    approvedBy: z.string(),
    createdAt: z.string(),
    readyAt: z.string().exactOptional(),
    endedAt: z.string(),
    deadlineAt: z.string(),
    budgetUsd: z.number().exactOptional(),
  }),
  /** Names of variables, never their values. */
  environment: z.object({
    image: z.string().exactOptional(),
    template: z.string().exactOptional(),
    workload: z.string().exactOptional(),
    diskGb: z.number(),
    ports: z.array(z.string()),
    env: z.array(z.string()),
    secretEnv: z.array(z.string()),
    setupSha256: sha256Schema.exactOptional(),
  }),
  /** What the pod itself said of its GPUs. Empty: it did not say. */
  gpuUuids: z.array(z.string()),
  code: z.array(codeRecordSchema.omit({ podId: true })),
  cost: z.object({
    usdPerHour: z.number().nonnegative(),
    secondsBilled: z.number().nonnegative(),
    estimatedUsd: z.number().nonnegative(),
  }),
  artifacts: z.array(
    z.object({
      path: z.string(),
      localPath: z.string(),
      bytes: z.int().nonnegative(),
      sha256: z.string(),
      proof: proofSchema,
      fetchedAt: z.string(),
    }),
  ),
  /** Who ended it. `pod`: it did so itself at its deadline; `outside`: nobody here had ordered it. */
  ending: endingSchema
    .extend({ by: z.enum([...endingSchema.shape.by.options, 'pod', 'outside']) })
    .exactOptional(),
  waiver: waiverSchema.exactOptional(),
  /** Declared outputs that nobody looked at before it went and that are not known to be home. */
  notHome: z.array(lostOutputSchema).exactOptional(),
  volumes: receiptVolumesSchema.exactOptional(),
  /** The reading that proved the end. */
  proof: z.object({
    provider: providerNameSchema,
    /** Whether its end was ordered by us or was found. */
    verb: z.enum(['terminate', 'none']),
    orderedAt: z.string().exactOptional(),
    status: z.enum(['gone', 'unknown']),
    how: z.string(),
    readAt: z.string(),
    /** The last time it was seen there, and as what. */
    lastSeenAt: z.string().exactOptional(),
    lastStatus: z.string().exactOptional(),
  }),
  /** Of the text for people that lies beside it. */
  markdownSha256: sha256Schema,
  /** Of the canonical JSON of everything above. */
  sha256: sha256Schema,
});
export type SealedReceipt = Readonly<z.output<typeof sealedReceiptSchema>>;

export function sha256Of(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Deeper than any receipt; a deeper text is none. */
const DEEPEST = 32;

/**
 * One text for one value: keys in order of their UTF-16 code units, no white space, numbers and strings as JSON writes them.
 * Throws RangeError for what is nested deeper than a receipt can be.
 */
export function canonicalJson(value: unknown, depth = 0): string {
  if (depth > DEEPEST) throw new RangeError('The value is nested too deep.');
  if (Array.isArray(value))
    return `[${value.map((item) => canonicalJson(item, depth + 1)).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field, depth + 1)}`);
  return `{${fields.join(',')}}`;
}

/** The hash that a receipt must carry: of everything in it but the hash itself. Foreign fields count too. */
export function sealOf(receipt: object): string {
  return sha256Of(
    canonicalJson(
      Object.fromEntries(Object.entries(receipt).filter(([name]) => name !== 'sha256')),
    ),
  );
}

/** The bytes of a receipt on disk. */
export function receiptText(receipt: SealedReceipt): string {
  return `${canonicalJson(receipt)}\n`;
}

/** The name of its file without the ending: the number says its place in the chain. */
export function receiptName({
  sequence,
  lease,
}: Pick<SealedReceipt, 'sequence' | 'lease'>): string {
  const pod = lease.podId.replace(/[^A-Za-z0-9._-]+/g, '-').slice(0, 60);
  return `${String(sequence).padStart(6, '0')}-${pod}`;
}
export const RECEIPT_FILE = /^(\d{6,})-[A-Za-z0-9._-]+\.json$/;

/** What was found wrong, or could not be proven. */
export const FINDINGS = [
  'unreadable',
  'edited',
  'missing',
  'reordered',
  'forked',
  'head',
  'end_unproven',
  'artifact_missing',
  'artifact_changed',
  'artifact_broken',
  'artifact_elsewhere',
  'artifact_extra',
] as const;
export interface Finding {
  readonly finding: (typeof FINDINGS)[number];
  /** A file of this machine, or the path that a receipt names. Foreign text. */
  readonly file?: string | undefined;
  readonly sequence?: number | undefined;
  /** In our own words. */
  readonly why: string;
}
export interface VerifiedReceipt {
  readonly file: string;
  readonly sequence: number;
  readonly kind: SealedReceipt['kind'];
  readonly podId: string;
  readonly sha256: string;
  /** Whether a later receipt takes its place: its files are then looked at with that one. */
  readonly superseded: boolean;
  readonly artifacts: readonly VerifiedArtifact[];
}
export interface VerifiedArtifact {
  readonly path: string;
  /** Where it was found. */
  readonly localPath?: string | undefined;
  readonly state: 'proven' | 'replaced' | 'missing' | 'changed' | 'broken' | 'elsewhere';
  /** The level reached now. */
  readonly proof?: z.output<typeof proofSchema> | undefined;
}
export interface Verification {
  readonly ok: boolean;
  readonly receipts: readonly VerifiedReceipt[];
  readonly findings: readonly Finding[];
  /** Files that no receipt names, beyond those in `findings`. Absent: none. */
  readonly moreExtra?: number | undefined;
  /** What no look at files can prove, in our own words. */
  readonly notChecked: readonly string[];
}
export interface VerifyRequest {
  /** A receipt, or a folder with receipts in it or in its `receipts`. Absolute. */
  readonly target: string;
  /**
   * Artifacts are looked for in these folders; absent: below `target`, if that is a folder. Beside them only what a receipt names
   * in the folder of rescued files, where that lies beside its own. Absolute.
   */
  readonly files?: string | readonly string[] | undefined;
  /** Only the receipts. */
  readonly chainOnly: boolean;
  /** The sha256 that the newest receipt must have. */
  readonly head?: string | undefined;
}

/** Re-checks receipts and the files they name. Reads only; runs nothing, asks nobody. */
export interface Verifier {
  /** Throws `path_missing` where there is no receipt. */
  verify(request: VerifyRequest, options: { readonly signal: AbortSignal }): Promise<Verification>;
}
