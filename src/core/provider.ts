import type { CallOptions } from './call.ts';
import type { OfferId, PodId, ProviderName } from './ids.ts';
import type { SshEndpoint } from './machine.ts';
import type { Offer, OfferQuery } from './offer.ts';

export interface PodRequest {
  readonly offerId: OfferId;
  /** Ours, and never used twice: the only handle on a pod whose creation answer was lost. */
  readonly label: string;
  readonly diskGb: number;
  readonly sshPublicKey: string;
  /** Refuse if the price has risen above what the caller agreed to. */
  readonly maxUsdPerHour: number;
  /** The pod ends itself at this time even when nobody asks it to. ISO 8601, UTC. */
  readonly deadlineAt: string;
  readonly onExpiry: 'destroy' | 'stop';
  readonly image?: string | undefined;
  readonly template?: string | undefined;
  readonly workload?: string | undefined;
  /** Boot script: setup only. */
  readonly setup?: string | undefined;
  /** The boot script runs again at every start, where the cloud leaves the choice. */
  readonly setupEveryStart?: boolean | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Those of `env` that are secrets: they go into no boot script. */
  readonly secretNames?: readonly string[] | undefined;
  readonly ports: readonly string[];
  /** Login for a private registry; the password is masked everywhere. */
  readonly registryLogin?: RegistryLogin | undefined;
  readonly volume?: VolumeUse | undefined;
  readonly bidUsdPerHour?: number | undefined;
}
export interface RegistryLogin {
  readonly host: string;
  readonly username: string;
  readonly password: string;
}
/** A volume that is attached when the pod is made: one that exists, or a new one of so many GB. */
export type VolumeUse =
  | { readonly volumeId: string; readonly mountPath: string }
  | { readonly newGb: number; readonly mountPath: string; readonly name?: string | undefined };

/** What a cloud says about a machine now. A snapshot, never updated in place. */
export interface ProviderPod {
  readonly podId: PodId;
  readonly label: string;
  readonly status: 'provisioning' | 'running' | 'stopped' | 'failed' | 'unknown';
  readonly usdPerHour: number;
  /** Present once the cloud says how to reach it. */
  readonly endpoint?: SshEndpoint | undefined;
  /** Another way in, tried when `endpoint` does not let us. */
  readonly fallback?: SshEndpoint | undefined;
  /** The raw port list in the cloud's words, for the log (foreign text): "22/tcp -> 0.0.0.0:33526". */
  readonly portMappings?: readonly string[] | undefined;
  /** The physical machine, where the cloud tells. */
  readonly machineId?: string | undefined;
  readonly createdAt?: string | undefined;
  /** What the cloud says about its state, in its own words (foreign text). */
  readonly detail?: string | undefined;
  /** What a person should know about its state, in our own words. */
  readonly problem?: string | undefined;
  /** A pod that was never ready will not become so from this state: waiting longer is of no use. */
  readonly isHopeless?: boolean | undefined;
  /** Whose fault `problem` is, where the cloud tells: another host helps against `host`, never against `image`. */
  readonly blame?: 'host' | 'image' | 'outbid' | undefined;
}

/** Dated facts about what a provider keeps and charges (MO-12, MO-16, SK-03). */
export interface ProviderFacts {
  /** "2026-11": when somebody last looked. */
  readonly verified: string;
  readonly dangerClocks: readonly string[];
  readonly paths: readonly PathFact[];
  /** What goes on being charged after a stop, in words. */
  readonly stoppedCharges: string;
  /** How often one pod may be looked at. Absent: as often as one likes. */
  readonly pollSeconds?: number | undefined;
  /**
   * A file on the pod, relative to the home of its login, that holds the end as epoch seconds; a timer on the pod obeys
   * it. Whoever moves the deadline writes it, whole (a new file, then a rename).
   */
  readonly deadlineFile?: string | undefined;
  /** Its pods are whole machines that bring a system of their own: no image is chosen for a workload. */
  readonly hasOwnImage?: boolean | undefined;
  /** An offer names a kind of machine in a place: one that is not sold now may be sold again under the same id. */
  readonly offersReturn?: boolean | undefined;
  /** Without image, template and workload it takes a template of its own that is known to work there. */
  readonly choosesImage?: boolean | undefined;
  /** None of its machines is sold by bids. */
  readonly hasNoInterruptible?: boolean | undefined;
}
export interface PathFact {
  readonly path: string;
  readonly survivesStop: boolean;
  readonly survivesDestroy: boolean;
}

/** What was ordered for a pod, and when. ISO 8601. */
export interface PodOrders extends Pick<ProviderPod, 'podId' | 'label' | 'usdPerHour'> {
  /** Absent: the cloud has been seen to know the pod. */
  readonly createdAt?: string | undefined;
  readonly startedAt?: string | undefined;
  readonly stoppedAt?: string | undefined;
}

/** What is asked of a pod, before anybody is asked to pay for it. */
export type PodPlan = Pick<
  PodRequest,
  | 'diskGb'
  | 'image'
  | 'template'
  | 'workload'
  | 'setup'
  | 'secretNames'
  | 'ports'
  | 'volume'
  | 'bidUsdPerHour'
> & { readonly env: Readonly<Record<string, string>> };

/** A disk of its own that is charged until it is removed. */
export interface Volume {
  /** As a pod id is written: "vast:V.881". */
  readonly volumeId: PodId;
  readonly name: string;
  readonly sizeGb: number;
  readonly usdPerMonth?: number | undefined;
  readonly machineId?: string | undefined;
  /** Pods it is attached to now. */
  readonly podIds: readonly PodId[];
  /** What a person should know about it, in our own words. */
  readonly problem?: string | undefined;
}

export interface AccountCheck {
  /** Name of the variable that holds the key; never its value. */
  readonly keySource?: string | undefined;
  readonly reachable: boolean;
  readonly balanceUsd?: number | undefined;
  /**
   * Which account this is, wherever it is looked at from: "console.vast.ai/123456", the cloud's address and the account's number. Two
   * keys of one account tell the same. Absent where the cloud tells none.
   */
  readonly account?: string | undefined;
  /** Whether our public key is on the account; absent where the provider needs none. */
  readonly sshKeyRegistered?: boolean | undefined;
  readonly problem?: string | undefined;
}

/**
 * A cloud. The laws, each one test in test/contract/provider-contract.ts:
 * 1. `createPod` answers as soon as the cloud accepts: `provisioning`.
 * 2. The label appears in `listPods`. A lost answer is looked up by label once: found, it answers with the pod; else
 *    `outcome_unknown`. A creation is never blindly repeated, and the same label again answers with the same pod.
 * 3. If a machine appeared and creation still failed, it is removed, then `no_capacity`; if removal fails,
 *    `outcome_unknown` that names the pod.
 * 4. `getPod` is one look. Gone means `undefined`; not knowing throws.
 * 5. `terminatePod` of a missing pod succeeds; it answers when the order is accepted.
 * 6. Prices are US dollars per hour for the whole pod, times ISO 8601 in UTC.
 * 7. A price above `maxUsdPerHour` at the moment of creation throws `price_changed`, and nothing is rented.
 * 8. An aborted signal ends any call within a second.
 * 9. The API key appears in no error, no log and no result.
 */
export interface Provider {
  readonly name: ProviderName;
  readonly facts: ProviderFacts;
  /** Its address is on this machine: a rehearsal, in which no machine and no money is real. */
  readonly isMadeUp?: boolean | undefined;
  listOffers(query: OfferQuery, options: CallOptions): Promise<readonly Offer[]>;
  /** One offer priced afresh with this disk; `undefined`: gone. Absent where only `listOffers` can tell. */
  readonly getOffer?: (
    offerId: OfferId,
    query: { readonly diskGb: number; readonly interruptible: boolean },
    options: CallOptions,
  ) => Promise<Offer | undefined>;
  /** As `getOffer`, several in one question; those that are gone are left out. Present where questions are rationed. */
  readonly getOffers?: (
    offerIds: readonly OfferId[],
    query: { readonly diskGb: number; readonly interruptible: boolean },
    options: CallOptions,
  ) => Promise<readonly Offer[]>;
  /**
   * Refuses, with a typed error and before any money, what this cloud would refuse or would do wrong: an unknown template, one
   * without SSH, a bid below the lowest, a volume on another machine, a boot script that is too long. Answers what the
   * person should know before agreeing, in our own words.
   */
  readonly checkPlan?: (
    offer: Offer,
    plan: PodPlan,
    options: CallOptions,
  ) => Promise<readonly string[]>;
  createPod(request: PodRequest, options: CallOptions): Promise<ProviderPod>;
  getPod(podId: PodId, options: CallOptions): Promise<ProviderPod | undefined>;
  listPods(options: CallOptions): Promise<readonly ProviderPod[]>;
  terminatePod(podId: PodId, options: CallOptions): Promise<void>;
  /**
   * Tells what this or another process of ours ordered, with the times on record: a cloud may not know a new pod yet, or go on
   * telling the state before an order. Present where it does. Costs nothing, changes nothing that is known already.
   */
  readonly recall?: (orders: PodOrders) => void;
  checkAccount(options: CallOptions): Promise<AccountCheck>;
  /** Present only where the cloud can pause a machine and keep its disk. */
  readonly power?: PodPower;
  /** Present where a machine can be restarted and yet not stopped; with `power` that one is meant. */
  readonly restartPod?: PodPower['restartPod'];
  /** Present only where the cloud (or the pod itself) can hold a time limit for us. */
  readonly deadlines?: PodDeadlines;
  /** Present only where keys are registered on the account. */
  readonly keys?: AccountKeys;
  /** Present only where the cloud shows what a pod printed while it booted. */
  readonly logs?: PodLogs;
  /** Present only where a running pod's bid can be changed. */
  readonly bids?: PodBids;
  /** Present only where disks outlive pods. */
  readonly volumes?: Volumes;
}
export interface PodLogs {
  /** Nowhere else does this cloud say that an image cannot be pulled. */
  readonly tellsPulls?: true;
  /** The last lines of the boot (foreign text). Throws `provider_unavailable` while there are none yet. */
  bootLog(podId: PodId, tailLines: number, options: CallOptions): Promise<string>;
}
export interface PodBids {
  /** Throws `invalid_input` below what the cloud takes. */
  changeBid(podId: PodId, usdPerHour: number, options: CallOptions): Promise<void>;
}
export interface Volumes {
  listVolumes(options: CallOptions): Promise<readonly Volume[]>;
  /** Removing a missing volume succeeds; one in use throws `unsupported`. */
  removeVolume(volumeId: PodId, options: CallOptions): Promise<void>;
}
export interface PodPower {
  stopPod(podId: PodId, options: CallOptions): Promise<void>;
  startPod(podId: PodId, options: CallOptions): Promise<void>;
  restartPod(podId: PodId, options: CallOptions): Promise<void>;
}
export interface PodDeadlines {
  setDeadline(podId: PodId, deadlineAt: string, options: CallOptions): Promise<void>;
}
export interface AccountKeys {
  /** Registering a key that is there already changes nothing. */
  registerKey(publicKey: string, options: CallOptions): Promise<void>;
  /** Adds the key to a pod that exists, where the cloud can. */
  readonly attachKey?: (podId: PodId, publicKey: string, options: CallOptions) => Promise<void>;
}
export type Providers = ReadonlyMap<ProviderName, Provider>;
