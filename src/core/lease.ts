import { z } from 'zod';
import { gateSchema } from './files.ts';
import { offerIdSchema, podIdSchema, providerNameSchema, quoteIdSchema } from './ids.ts';
import { offerSchema } from './offer.ts';
import { lostOutputSchema } from './unfetched.ts';

/** What was agreed: everything that decides the money. Bound by a quote, kept in the lease. */
export const termsSchema = z.object({
  offerIds: z.array(offerIdSchema).min(1),
  name: z.string().exactOptional(),
  image: z.string().exactOptional(),
  template: z.string().exactOptional(),
  workload: z.string().exactOptional(),
  /** The image that stands for the workload on these offers; chosen when the quote was made. */
  workloadImage: z.string().exactOptional(),
  /** Candidates that were asked for and could not be rented when the quote was made. */
  leftOut: z.array(offerIdSchema).exactOptional(),
  diskGb: z.number().positive(),
  setup: z.string().exactOptional(),
  env: z.record(z.string(), z.string()),
  secretEnv: z.array(z.string()),
  ports: z.array(z.string()),
  registryAuth: z.string().exactOptional(),
  volume: z.string().exactOptional(),
  bidUsdPerHour: z.number().positive().exactOptional(),
  expectedHours: z.number().positive().exactOptional(),
  budgetUsd: z.number().positive().exactOptional(),
  ttlMinutes: z.number().positive(),
  onExpiry: z.enum(['destroy', 'stop']),
  maxAttempts: z.int().positive(),
});
export type Terms = Readonly<z.output<typeof termsSchema>>;

/** A change of a pod that costs more than was agreed. */
const changeSchema = z.object({
  podId: podIdSchema,
  action: z.enum(['start', 'stop', 'restart']).exactOptional(),
  ttlMinutes: z.number().positive().exactOptional(),
  budgetUsd: z.number().positive().exactOptional(),
  name: z.string().exactOptional(),
  adopt: z.boolean().exactOptional(),
  bidUsdPerHour: z.number().positive().exactOptional(),
  /** Shown with the quote: work that is nowhere else would be lost. */
  discardUnfetched: z.boolean().exactOptional(),
});

/** Lives 5 minutes, is used once, binds offers, price, disk, deadline and budget. */
export const quoteSchema = z.object({
  quoteId: quoteIdSchema,
  terms: termsSchema,
  /** The dearest of the candidates: what the person agrees to at most. */
  usdPerHour: z.number().nonnegative(),
  maxUsd: z.number().nonnegative(),
  /** For `terms.expectedHours`, where they are known. */
  expectedUsd: z.number().nonnegative().exactOptional(),
  offers: z.array(offerSchema),
  /** What the person should know before agreeing, in our own words. */
  notes: z.array(z.string()).exactOptional(),
  createdAt: z.string(),
  expiresAt: z.string(),
  usedAt: z.string().exactOptional(),
  /** How it was allowed: by a person's form, by showing the quote, under the automatic limit, or because it is free. */
  approvedBy: z.enum(['form', 'quote', 'auto', 'free']).exactOptional(),
  /** Not a pod to rent: a change of this one that costs money. */
  change: changeSchema.exactOptional(),
});
export type Quote = Readonly<z.output<typeof quoteSchema>>;

/**
 * `intended`: on disk, the provider has not answered. `open`: a pod exists or may exist. `closing`: destroy was ordered.
 * `closed`: seen gone, or never came to be. Everything but `closed` may cost money.
 */
export const leaseStateSchema = z.enum(['intended', 'open', 'closing', 'closed']);

export const attemptSchema = z.object({
  offerId: offerIdSchema,
  reason: z.string(),
  cleanup: z.enum(['nothing_created', 'gone', 'present', 'unknown']),
  podId: podIdSchema.exactOptional(),
  /** Highest rung of the readiness ladder that it reached. */
  stage: z.string().exactOptional(),
  seconds: z.number().nonnegative().exactOptional(),
  /** The end of what it printed while it booted, quoted. */
  foreignText: z.string().exactOptional(),
});
export type Attempt = Readonly<z.output<typeof attemptSchema>>;

export const stageTimeSchema = z.object({ stage: z.string(), seconds: z.number() });

/** The gates that stood open when a pod was destroyed, and who let it pass. */
export const waiverSchema = z.object({
  reason: z.string(),
  by: z.enum(['person', 'caller', 'expiry']),
  at: z.string(),
  gates: z.array(gateSchema),
});
export type Waiver = Readonly<z.output<typeof waiverSchema>>;

/** Who ordered the end, and why, in our own words: an agent by a tool, a person by a command, or one of ours without being asked. */
export const endingSchema = z.object({
  by: z.enum(['agent', 'person', 'server', 'watcher']),
  why: z.string(),
});
export type Ending = Readonly<z.output<typeof endingSchema>>;

/** Disks that were attached, outlive the pod and go on being charged (VO-03). */
export const receiptVolumesSchema = z.array(
  z.object({
    volumeId: podIdSchema,
    sizeGb: z.number(),
    usdPerMonth: z.number().exactOptional(),
    /** Made for a pod that never became ready: it goes too. */
    isBeingRemoved: z.literal(true).exactOptional(),
  }),
);

/** Our record that a pod was asked for, written before the money is. */
export const leaseSchema = z.object({
  leaseId: z.string(),
  /** The unique handle the provider knows the pod by. */
  label: z.string(),
  provider: providerNameSchema,
  offer: offerSchema,
  terms: termsSchema,
  quoteId: quoteIdSchema.exactOptional(),
  approvedBy: z.enum(['form', 'quote', 'auto', 'free', 'adopted']),
  state: leaseStateSchema,
  /** The account it was made with, as `AccountCheck` tells it: what another one shows says nothing about this pod. */
  account: z.string().exactOptional(),
  podId: podIdSchema.exactOptional(),
  name: z.string(),
  usdPerHour: z.number().nonnegative(),
  /** Money set aside while the lease is not closed: price × time to the deadline is recomputed from these. */
  createdAt: z.string(),
  deadlineAt: z.string(),
  budgetUsd: z.number().positive().exactOptional(),
  readyAt: z.string().exactOptional(),
  stoppedAt: z.string().exactOptional(),
  endedAt: z.string().exactOptional(),
  /** Process and boot that is creating right now; lets another server tell a crash from work in progress. */
  creator: z.string().exactOptional(),
  stages: z.array(stageTimeSchema),
  /** Highest rung of the readiness ladder reached so far. */
  stage: z.string(),
  failure: z.string().exactOptional(),
  /** Whose fault `failure` is. */
  blame: z.enum(['host', 'image', 'ours', 'unknown']).exactOptional(),
  /**
   * Another candidate of the quote may follow when this pod fails before it was ever ready. Set with the intent, forgotten
   * when it is ready, ordered to end, or cannot be proven gone.
   */
  mayReplace: z.boolean().exactOptional(),
  /** The pod that failed and whose place this one took, and the other way round: an id of `handleOf`. */
  replaces: podIdSchema.exactOptional(),
  replacedBy: podIdSchema.exactOptional(),
  /** The way in that was found to work, or is being tried. */
  endpoint: z
    .object({
      host: z.string(),
      port: z.int(),
      user: z.string(),
      route: z.enum(['direct', 'proxy']),
    })
    .exactOptional(),
  /** When our key was added to this very pod because it had refused us. */
  keyAttachedAt: z.string().exactOptional(),
  /** The deadline that the timer on the pod was seen to hold. */
  deadlineTold: z.string().exactOptional(),
  volumes: receiptVolumesSchema.exactOptional(),
  /** The volume that the order makes with the pod. It outlives the pod: `asked` until it is known to be needed or gone. */
  newVolume: z
    .object({
      name: z.string(),
      volumeId: podIdSchema.exactOptional(),
      state: z.enum(['asked', 'kept', 'removed']),
    })
    .exactOptional(),
  measured: z.record(z.string(), z.union([z.string(), z.number()])).exactOptional(),
  attempts: z.array(attemptSchema),
  /** Money spent up to `accruedAt`; from there the present rate counts. Absent: from `createdAt`, at `usdPerHour`. */
  accruedUsd: z.number().nonnegative().exactOptional(),
  accruedAt: z.string().exactOptional(),
  /** `accruedUsd` by UTC day, "2026-01-31". */
  accruedByDay: z.record(z.string(), z.number().nonnegative()).exactOptional(),
  /** Start of the present boot; absent: `createdAt`. */
  bootAt: z.string().exactOptional(),
  /** When the provider last told us, and what. */
  observedAt: z.string().exactOptional(),
  observedStatus: z.string().exactOptional(),
  /** First of the looks that did not find the pod; two of them, apart, prove that it never came to be. */
  absentSince: z.string().exactOptional(),
  /** First time the pod let us talk but refused our key. */
  deniedSince: z.string().exactOptional(),
  /** When 80 % of the budget was announced. */
  warnedAt: z.string().exactOptional(),
  /** A limit of the person is used up: until then what is on the pod can be saved. */
  budgetEndAt: z.string().exactOptional(),
  /** When a call last worked on it: a session, files, a job. */
  usedAt: z.string().exactOptional(),
  /** Kept where idle pods are ended: nothing was seen to run `since`, as of `checkedAt`. */
  idle: z
    .object({
      since: z.string(),
      checkedAt: z.string(),
      /** Announced: it ends then unless it is used. */
      endAt: z.string().exactOptional(),
      /** Code of why nobody can tell now. Nothing is ended for that. */
      unread: z.string().exactOptional(),
    })
    .exactOptional(),
  closingAt: z.string().exactOptional(),
  /** Of the first order to end it. */
  ending: endingSchema.exactOptional(),
  waiver: waiverSchema.exactOptional(),
});
export type Lease = Readonly<z.output<typeof leaseSchema>>;

/** What a destroyed pod leaves: cost, times, artifacts, and the reading that proved it gone. */
export const receiptSchema = z.object({
  podId: podIdSchema,
  name: z.string(),
  provider: providerNameSchema,
  usdPerHour: z.number().nonnegative(),
  createdAt: z.string(),
  endedAt: z.string(),
  runtimeSeconds: z.number(),
  estimatedUsd: z.number().nonnegative(),
  artifacts: z.array(
    z.object({ path: z.string(), localPath: z.string(), sha256: z.string(), proof: z.string() }),
  ),
  proof: z.object({ how: z.string(), readAt: z.string() }),
  waiver: waiverSchema.exactOptional(),
  /** Declared outputs that nobody looked at before it went and that are not known to be home. */
  notHome: z.array(lostOutputSchema).exactOptional(),
  volumes: receiptVolumesSchema.exactOptional(),
});
export type Receipt = Readonly<z.output<typeof receiptSchema>>;
