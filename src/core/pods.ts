import { z } from 'zod';
import type { CallOptions } from './call.ts';
import type { Gate } from './files.ts';
import {
  type PodId,
  type ProviderName,
  podIdSchema,
  providerNameSchema,
  type QuoteId,
} from './ids.ts';
import { type Attempt, type Quote, type Receipt, stageTimeSchema, type Terms } from './lease.ts';
import type { EndedPod } from './left-behind.ts';
import type { Offer, OfferQuery } from './offer.ts';
import type { Volume } from './provider.ts';

export const podStatusSchema = z.enum([
  'provisioning',
  'ready',
  'unreachable',
  'stopped',
  'destroying',
  'gone',
  'failed',
  'cleanup_failed',
  'unknown',
]);
export type PodStatus = z.output<typeof podStatusSchema>;

/** The rungs of the readiness ladder, in order (RE-05). */
export const STAGES = [
  'requested',
  'created',
  'running',
  'mapped',
  'tcp',
  'banner',
  'auth',
  'command',
  'gpu',
  'disk',
  'ready',
] as const;

/** A pod as callers see it: our lease, the provider's word and our own measurements put together. */
export const podSchema = z.object({
  podId: podIdSchema,
  name: z.string(),
  provider: providerNameSchema,
  mode: z.enum(['managed', 'user_managed', 'unmanaged']),
  status: podStatusSchema,
  gpu: z.string().exactOptional(),
  gpuCount: z.int().nonnegative().exactOptional(),
  usdPerHour: z.number().nonnegative().exactOptional(),
  bidUsdPerHour: z.number().positive().exactOptional().describe('Of an interruptible pod.'),
  spentUsd: z.number().nonnegative().exactOptional(),
  budgetUsd: z.number().positive().exactOptional(),
  createdAt: z.string().exactOptional(),
  deadlineAt: z.string().exactOptional(),
  onExpiry: z.enum(['destroy', 'stop']).exactOptional(),
  stage: z.string().exactOptional(),
  stages: z.array(stageTimeSchema).exactOptional(),
  endpoint: z
    .object({ host: z.string(), port: z.int(), user: z.string(), route: z.string() })
    .exactOptional(),
  portMappings: z.array(z.string()).exactOptional().describe("The cloud's own list."),
  advertised: z.record(z.string(), z.union([z.string(), z.number()])).exactOptional(),
  measured: z.record(z.string(), z.union([z.string(), z.number()])).exactOptional(),
  dangerClocks: z.array(z.string()).exactOptional(),
  paths: z
    .array(z.object({ path: z.string(), survivesStop: z.boolean(), survivesDestroy: z.boolean() }))
    .exactOptional(),
  workFolder: z.string().exactOptional(),
  rehearsal: z.boolean().exactOptional(),
  problem: z.string().exactOptional(),
  observedAt: z.string().exactOptional().describe('When the provider last told us.'),
  replacedBy: podIdSchema.exactOptional().describe('Rented in its place.'),
  replaces: podIdSchema.exactOptional().describe('Rented in the place of this one.'),
  isBeingReplaced: z.boolean().exactOptional(),
});
export type Pod = Readonly<z.output<typeof podSchema>>;

export interface ProviderReading {
  readonly provider: ProviderName;
  readonly ok: boolean;
  readonly error?: string | undefined;
}

export interface Offers {
  /** One cloud down never hides the others. */
  find(
    query: OfferQuery & { readonly providers: readonly ProviderName[]; readonly limit: number },
    options: CallOptions,
  ): Promise<{
    readonly offers: readonly Offer[];
    readonly applied: Readonly<Record<string, string | number | boolean | readonly string[]>>;
    readonly relaxations: readonly { readonly drop: string; readonly wouldMatch: number }[];
    readonly providers: readonly ProviderReading[];
    readonly snapshotAt: string;
    /** What the person should know about the search, in our own words. */
    readonly notes?: readonly string[] | undefined;
  }>;
}

/** How a person may answer when asked for money or for giving up a file. */
export type Answer = 'accepted' | 'declined' | 'unavailable';
export type Ask = (question: {
  readonly message: string;
  readonly field: string;
  /** What it can cost in all, where it is about money. */
  readonly maxUsd?: number;
}) => Promise<Answer>;

export type CreateOutcome =
  | { readonly status: 'needs_confirmation'; readonly quote: Quote; readonly declined?: true }
  | {
      readonly status: 'provisioning' | 'ready';
      readonly pod: Pod;
      readonly attempts: readonly Attempt[];
      /** What the person should know now that money is spent, in our own words. */
      readonly cautions?: readonly string[] | undefined;
    }
  | {
      readonly status: 'failed';
      readonly pod?: Pod | undefined;
      readonly attempts: readonly Attempt[];
    };

export type DestroyOutcome =
  | { readonly outcome: 'gone'; readonly receipt?: Receipt | undefined }
  | { readonly outcome: 'present' | 'unknown'; readonly pod: Pod }
  | {
      readonly outcome: 'blocked';
      /** Absent: it is a volume. */
      readonly pod?: Pod | undefined;
      readonly missing: readonly Gate[];
      readonly declined?: true;
    };

/** Terms as far as somebody gave them; nothing that stands by default. */
export type StatedTerms = {
  readonly [Name in keyof Terms]?: Terms[Name] | undefined;
};

/** A limit that the person set, and how much of it is used. */
export interface LimitUse {
  /** Its variable: "GPU_LEASE_BUDGET_USD". */
  readonly name: string;
  readonly limit: number;
  readonly used: number;
  /** What `used` counts: "pods", "minutes" without use, or of what the dollars are. */
  readonly scope: string;
}

/** Where money, deadlines and teardown are decided. */
export interface Pods {
  /** Terms without `quoteId` make a quote first; with it the quote's own terms are used. `ask` may be called once. */
  create(
    request: {
      readonly terms: Terms;
      readonly quoteId?: QuoteId | undefined;
      /** What the caller said of the terms beside `quoteId`: refused where the quote says otherwise. */
      readonly stated?: StatedTerms | undefined;
      readonly waitSeconds: number;
    },
    options: CallOptions & {
      readonly ask: Ask;
      /** Called when money is about to be spent, before the order. */
      readonly beforeRent?: (() => Promise<void>) | undefined;
    },
  ): Promise<CreateOutcome>;
  get(
    podId: PodId,
    request: {
      readonly waitFor?: 'ready' | 'stopped' | 'gone' | undefined;
      readonly waitSeconds: number;
    },
    options: CallOptions,
  ): Promise<{ readonly pod: Pod; readonly reached: boolean }>;
  list(
    request: { readonly provider?: ProviderName | undefined; readonly includeEnded: boolean },
    options: CallOptions,
  ): Promise<{
    readonly pods: readonly Pod[];
    readonly providers: readonly (ProviderReading & { readonly balanceUsd?: number | undefined })[];
    readonly usdPerHour: number;
    readonly spentUsd: number;
    /** Disks of their own, charged until removed. Absent: no cloud here has any. */
    readonly volumes?: readonly Volume[] | undefined;
    /** Over all clouds and server processes. Absent: nobody set one. */
    readonly limits?: readonly LimitUse[] | undefined;
    /** Pods that went unasked in the last day (`includeEnded`: ever) and left or lost declared files, newest first. */
    readonly ended?: readonly EndedPod[] | undefined;
  }>;
  update(
    podId: PodId,
    request: {
      readonly action?: 'start' | 'stop' | 'restart' | undefined;
      readonly ttlMinutes?: number | undefined;
      readonly budgetUsd?: number | undefined;
      readonly name?: string | undefined;
      readonly adopt?: boolean | undefined;
      readonly bidUsdPerHour?: number | undefined;
      /** The quote of an earlier answer: what it says is done. Anything else of this call that it does not say is refused. */
      readonly quoteId?: QuoteId | undefined;
    },
    options: CallOptions & { readonly ask: Ask },
  ): Promise<{
    /** What needs the consent of a person, who could not be asked: nothing of it was done. */
    readonly quote?: Quote | undefined;
    readonly pod: Pod;
    readonly stillCharged: string;
    /** Work of a pod that is stopped that is nowhere else: it stays on its disk. */
    readonly notHome?: readonly Gate[] | undefined;
    readonly cautions?: readonly string[] | undefined;
    /** The deadline before the call, when the call gave another one. */
    readonly deadlineBefore?: string | undefined;
  }>;
  destroy(
    podId: PodId,
    request: {
      readonly discardUnfetched: boolean;
      readonly reason?: string | undefined;
      readonly waitSeconds: number;
      readonly by?: 'agent' | 'person'; // For the receipt. Default: an agent.
    },
    options: CallOptions & { readonly ask: Ask },
  ): Promise<DestroyOutcome>;
  receipt(podId: PodId): Promise<Receipt | undefined>;
  /** Finds and mends what a crash left half done: intents by label, teardowns. Longer than `patienceSeconds` it goes on. */
  reconcile(options: CallOptions & { readonly patienceSeconds?: number }): Promise<void>;
  /**
   * One round over the pods that are on their way up: each is looked at, and one that failed is ended, proven gone and replaced
   * within what was agreed; timers on pods are told of deadlines they do not know. Called again and again by every server; what
   * still runs from a round before is not begun twice.
   */
  readonly tend?: (options: CallOptions) => Promise<void>;
  /**
   * Budgets of which 80 % or more are spent and pods that cost money for nothing, one sentence each, of the pods that these ids speak of: of pods, jobs, sessions.
   * From the store alone, at most a few seconds old. Never throws.
   */
  readonly warnings?: (ids: readonly string[]) => Promise<readonly string[]>;
  /** A call works on the pods that these ids speak of: they are not idle. Written down now and then. Never throws. */
  readonly used?: (ids: readonly string[]) => Promise<void>;
  /**
   * One round over deadlines and budgets: acts on what is due. The watcher calls it again and again. What takes longer than
   * `patienceSeconds` goes on by itself and is answered by a later round: a pod that does not answer holds up no other.
   */
  enforce(options: CallOptions & { readonly patienceSeconds?: number }): Promise<readonly string[]>;
}
