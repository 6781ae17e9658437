import type { CallOptions, Clock } from '../../src/core/call.ts';
import { ConfigError, InputError, PolicyError, ProviderError } from '../../src/core/errors.ts';
import { offerIdSchema, type PodId, type ProviderName, podIdSchema } from '../../src/core/ids.ts';
import type { SshEndpoint } from '../../src/core/machine.ts';
import { type Offer, offerSchema } from '../../src/core/offer.ts';
import type { PodRequest, Provider, ProviderPod, Volume } from '../../src/core/provider.ts';

/** A machine of the fake cloud. Alive machines cost money; dead ones are remembered. */
export interface FakeMachine {
  readonly podId: PodId;
  readonly request: PodRequest;
  readonly createdAt: number;
  status: ProviderPod['status'];
  alive: boolean;
  usdPerHour: number;
  /** Lists it still appears in after its end was accepted. */
  lingers: number;
  deadlineAt: string;
  endedAt?: number;
}

/** What goes wrong next. Numbers count down; each is used up by the call it spoils. */
export interface FakeFaults {
  /** The machine is made, the answer is lost (`outcome_unknown` without a look by label, like a broken client). */
  loseAnswers: number;
  /** Nothing is made and no answer comes. */
  loseRequests: number;
  /** The machine is made and the answer lost; the client looks it up by its label, as law 2 wants. */
  lostButFound: number;
  /** The machine is made, creation fails, and the client removes it, as law 3 wants. */
  failAndRemove: number;
  /** Refused for want of capacity. */
  noCapacity: number;
  /** The machine is made, then creation fails; the provider does not clean up. */
  failAfterMachine: number;
  /** `listPods` fails. */
  listFails: number;
  /** `getPod` fails. */
  getFails: number;
  /** `getPod` says "not found" although the machine is there, as a new one may be for a while. */
  getMisses: number;
  /** `listPods` leaves every machine out. */
  listMisses: number;
  /** `terminatePod` fails. */
  terminateFails: number;
  /** `terminatePod` never answers, though the machine ends. */
  terminateHangs: number;
  /** Lists that still show a machine whose end was accepted. */
  lingers: number;
  /** Added to every price from now on, offers and creations alike. */
  dearer: number;
  /** New machines cost this much more than their offer: a cloud that breaks law 7. */
  overcharges: number;
  /** New machines stay `provisioning`. */
  neverBoots: boolean;
  /** New machines fail to boot. */
  bootFails: number;
  /** What the cloud says of a machine that failed to boot. */
  bootProblem: Pick<ProviderPod, 'problem' | 'blame' | 'detail' | 'isHopeless'>;
  /** Running machines show no public port. */
  unmapped: boolean;
  /** Removing a volume is accepted and does nothing. */
  volumesStay: boolean;
  /** A volume stays attached to its pod for so long after that ended. */
  volumesFreeAfterSeconds: number;
}

export interface FakeProvider extends Provider {
  readonly faults: FakeFaults;
  readonly machines: readonly FakeMachine[];
  /** Every call by name, in order. */
  readonly calls: readonly string[];
  /** Public keys on the account now. */
  readonly accountKeys: readonly string[];
  alive(): readonly FakeMachine[];
  /** Somebody ends it by hand. */
  vanish(podId: PodId): void;
  /** Somebody makes a machine by hand. */
  foreign(label: string, usdPerHour?: number): PodId;
  offersAre(offers: readonly Offer[]): void;
}

export interface FakeProviderOptions {
  readonly clock: Clock;
  readonly name?: ProviderName;
  readonly offers?: readonly Offer[];
  /** How pods are reached; default: an address that nobody uses. */
  readonly endpoint?: (podId: PodId) => SshEndpoint;
  /** The detour of each running pod. */
  readonly fallback?: (podId: PodId) => SshEndpoint;
  readonly bootSeconds?: number;
  /** How often the cloud wants to be asked at most. */
  readonly pollSeconds?: number;
  readonly deadlineFile?: string;
  /** What a machine printed while it booted. */
  readonly bootLog?: (podId: PodId) => string;
  /** Only that log tells of an image that cannot be pulled. */
  readonly tellsPulls?: boolean;
  readonly canBid?: boolean;
  /** Called before each call: a test may throw here. */
  readonly before?: (call: string) => void | Promise<void>;
  /** Called after a call has had its effect, before it answers. */
  readonly after?: (call: string) => void | Promise<void>;
  readonly canStop?: boolean;
  readonly canHoldDeadlines?: boolean;
  readonly balanceUsd?: number;
  /** What is wrong with the account. */
  readonly accountProblem?: string;
  /** Which account it is. Default: it does not tell. */
  readonly account?: string;
  /** Public keys on the account. Given: the cloud wants keys registered. */
  readonly accountKeys?: readonly string[];
  /** Registering a key fails. */
  readonly keysFail?: boolean;
  /** Given: the cloud has volumes. */
  readonly volumes?: readonly Volume[];
  readonly checkPlan?: NonNullable<Provider['checkPlan']>;
  /** Sent with every request, so it is in what a refusal quotes back. */
  readonly apiKey?: string;
}

export function anOffer(changes: Partial<Offer> & { readonly id?: string } = {}): Offer {
  const { id = 'a', ...rest } = changes;
  const provider = rest.provider ?? 'vast';
  return offerSchema.parse({
    offerId: offerIdSchema.parse(`${provider}:${id}`),
    provider,
    gpu: 'NVIDIA GeForce RTX 4090',
    gpuCount: 1,
    vramGb: 24,
    vcpu: 16,
    ramGb: 64,
    diskGb: 500,
    region: 'eu-west',
    pricing: 'on_demand',
    usdPerHour: 0.5,
    usdPerHourStopped: 0.02,
    reliability: 0.99,
    ...rest,
  });
}

/** A cloud with prices, in memory, that obeys the laws of `Provider` unless told to break one. */
export function createFakeProvider(options: FakeProviderOptions): FakeProvider {
  const { clock, name = 'vast', bootSeconds = 10, before, after } = options;
  let offers = options.offers ?? [anOffer({ provider: name })];
  const machines: FakeMachine[] = [];
  const calls: string[] = [];
  const accountKeys = [...(options.accountKeys ?? [])];
  const volumes = [...(options.volumes ?? [])];
  const faults: FakeFaults = {
    loseAnswers: 0,
    loseRequests: 0,
    lostButFound: 0,
    failAndRemove: 0,
    noCapacity: 0,
    failAfterMachine: 0,
    listFails: 0,
    getFails: 0,
    getMisses: 0,
    listMisses: 0,
    terminateFails: 0,
    terminateHangs: 0,
    lingers: 0,
    dearer: 0,
    overcharges: 0,
    neverBoots: false,
    bootFails: 0,
    bootProblem: {},
    unmapped: false,
    volumesStay: false,
    volumesFreeAfterSeconds: 0,
  };
  type Counted = Exclude<
    keyof FakeFaults,
    | 'dearer'
    | 'overcharges'
    | 'neverBoots'
    | 'bootProblem'
    | 'unmapped'
    | 'volumesStay'
    | 'volumesFreeAfterSeconds'
  >;
  const strikes = (fault: Counted): boolean => {
    if (faults[fault] <= 0) return false;
    faults[fault] -= 1;
    return true;
  };
  const call = async <T>(
    what: string,
    { signal }: CallOptions,
    work: () => T | Promise<T>,
  ): Promise<T> => {
    signal.throwIfAborted();
    calls.push(what);
    await before?.(what);
    const result = await work();
    await after?.(what);
    return result;
  };
  const down = (): ProviderError =>
    new ProviderError('provider_unavailable', 'The fake cloud does not answer.');

  const endDue = (): void => {
    for (const machine of machines)
      if (machine.alive && Date.parse(machine.deadlineAt) <= clock.now().getTime()) {
        if (machine.request.onExpiry === 'stop' && options.canStop === true)
          machine.status = 'stopped';
        else machine.alive = false;
      }
  };
  const podOf = (machine: FakeMachine): ProviderPod => {
    const isBooted = clock.now().getTime() - machine.createdAt >= bootSeconds * 1000;
    const status =
      machine.status === 'provisioning' && isBooted && !faults.neverBoots
        ? 'running'
        : machine.status;
    return {
      podId: machine.podId,
      label: machine.request.label,
      status,
      usdPerHour: machine.usdPerHour,
      createdAt: new Date(machine.createdAt).toISOString(),
      machineId: `m-${machine.request.offerId.replace(/^.*:/, '')}`,
      ...(status === 'failed' ? faults.bootProblem : {}),
      ...(status === 'running' && options.fallback !== undefined
        ? { fallback: options.fallback(machine.podId) }
        : {}),
      ...(status === 'running' && !faults.unmapped
        ? {
            portMappings: ['22/tcp -> 0.0.0.0:33526'],
            endpoint: options.endpoint?.(machine.podId) ?? {
              podId: machine.podId,
              host: '127.0.0.1',
              port: 1,
              user: 'root',
              route: 'direct' as const,
            },
          }
        : {}),
    };
  };
  const find = (podId: PodId): FakeMachine | undefined => {
    endDue();
    return machines.find((machine) => machine.podId === podId && machine.alive);
  };
  const make = (request: PodRequest, usdPerHour: number): FakeMachine => {
    const machine: FakeMachine = {
      podId: podIdSchema.parse(`${name}:${machines.length + 1000}`),
      request,
      createdAt: clock.now().getTime(),
      status: strikes('bootFails') ? 'failed' : 'provisioning',
      alive: true,
      usdPerHour,
      lingers: 0,
      deadlineAt: request.deadlineAt,
    };
    machines.push(machine);
    const { volume } = request;
    if (options.volumes !== undefined && volume !== undefined && 'newGb' in volume)
      volumes.push({
        volumeId: podIdSchema.parse(`${name}:V.${machines.length}`),
        name: volume.name ?? 'unnamed',
        sizeGb: volume.newGb,
        usdPerMonth: 2,
        podIds: [machine.podId],
      });
    return machine;
  };
  const freed = (volume: Volume): Volume => ({
    ...volume,
    podIds: volume.podIds.filter((podId) => {
      const machine = machines.find((one) => one.podId === podId);
      if (machine === undefined || machine.alive) return true;
      machine.endedAt ??= clock.now().getTime();
      return clock.now().getTime() < machine.endedAt + faults.volumesFreeAfterSeconds * 1000;
    }),
  });
  const priced = (offer: Offer): Offer => ({
    ...offer,
    usdPerHour: offer.usdPerHour + faults.dearer,
  });

  return {
    name,
    facts: {
      verified: '2026-11',
      dangerClocks: ['The fake cloud forgets stopped pods after a week.'],
      paths: [{ path: '/workspace', survivesStop: true, survivesDestroy: false }],
      stoppedCharges: 'The disk is still charged.',
      pollSeconds: options.pollSeconds,
      deadlineFile: options.deadlineFile,
    },
    faults,
    machines,
    calls,
    accountKeys,
    alive() {
      endDue();
      return machines.filter(({ alive }) => alive);
    },
    vanish(podId) {
      const machine = find(podId);
      if (machine !== undefined) machine.alive = false;
    },
    foreign(label, usdPerHour = 1) {
      const request: PodRequest = {
        offerId: offerIdSchema.parse(`${name}:foreign`),
        label,
        diskGb: 10,
        sshPublicKey: '',
        maxUsdPerHour: usdPerHour,
        deadlineAt: '2999-01-01T00:00:00.000Z',
        onExpiry: 'destroy',
        env: {},
        ports: [],
      };
      const machine = make(request, usdPerHour);
      machine.status = 'running';
      return machine.podId;
    },
    offersAre(next) {
      offers = next;
    },
    async listOffers(_query, call_) {
      return call('listOffers', call_, () => offers.map(priced));
    },
    async createPod(request, call_) {
      return call('createPod', call_, () => {
        const known = machines.find(
          ({ alive, request: { label } }) => alive && label === request.label,
        );
        if (known !== undefined) return podOf(known);
        if (strikes('loseRequests'))
          throw new ProviderError('outcome_unknown', 'No answer, and no pod of that label.');
        const offer = offers.map(priced).find(({ offerId }) => offerId === request.offerId);
        if (offer === undefined) throw new InputError('offer_gone', 'Not sold here any more.');
        if (strikes('noCapacity'))
          throw new ProviderError('no_capacity', 'The fake cloud has no room.');
        const price = request.bidUsdPerHour ?? offer.usdPerHour;
        if (price > request.maxUsdPerHour + 1e-9)
          throw new PolicyError('price_changed', 'The fake cloud has become dearer.', {
            cause: new Error(`409 for authorization: Bearer ${options.apiKey ?? ''}`),
          });
        const machine = make(request, price + faults.overcharges);
        if (strikes('failAfterMachine'))
          throw new ProviderError('no_capacity', `Creation failed, ${machine.podId} remains.`);
        if (strikes('failAndRemove')) {
          machine.alive = false;
          throw new ProviderError('no_capacity', 'Creation failed; what had appeared is removed.', {
            isRemoved: true,
          });
        }
        if (strikes('lostButFound')) {
          const found = machines.find(({ request: { label } }) => label === request.label);
          if (found !== undefined) return podOf(found);
        }
        if (strikes('loseAnswers'))
          throw new ProviderError('outcome_unknown', 'The answer was lost.');
        return { ...podOf(machine), status: 'provisioning' as const };
      });
    },
    async getPod(podId, call_) {
      return call('getPod', call_, () => {
        if (strikes('getFails')) throw down();
        const machine = find(podId);
        return machine === undefined || strikes('getMisses') ? undefined : podOf(machine);
      });
    },
    async listPods(call_) {
      return call('listPods', call_, () => {
        if (strikes('listFails')) throw down();
        endDue();
        if (strikes('listMisses')) return [];
        return machines
          .filter((machine) => {
            if (machine.alive) return true;
            machine.lingers -= 1;
            return machine.lingers >= 0;
          })
          .map(podOf);
      });
    },
    async terminatePod(podId, call_) {
      return call('terminatePod', call_, async () => {
        if (strikes('terminateFails')) throw down();
        const machine = find(podId);
        if (machine !== undefined) {
          machine.alive = false;
          machine.lingers = faults.lingers;
        }
        if (strikes('terminateHangs'))
          await new Promise((_resolve, reject) => {
            call_.signal.addEventListener('abort', () => {
              reject(down());
            });
          });
      });
    },
    async checkAccount(call_) {
      return call('checkAccount', call_, () => ({
        keySource: 'VAST_API_KEY',
        reachable: options.accountProblem === undefined,
        balanceUsd: options.balanceUsd ?? 12,
        problem: options.accountProblem,
        account: options.account,
        sshKeyRegistered: options.accountKeys === undefined ? undefined : accountKeys.length > 0,
      }));
    },
    ...(options.checkPlan === undefined
      ? {}
      : {
          checkPlan: async (offer, plan, call_) =>
            call('checkPlan', call_, async () => options.checkPlan?.(offer, plan, call_) ?? []),
        }),
    ...(options.accountKeys === undefined
      ? {}
      : {
          keys: {
            registerKey: async (publicKey: string, call_: CallOptions) =>
              call('registerKey', call_, () => {
                if (options.keysFail === true)
                  throw new ConfigError('auth_rejected', 'The key may not be added.');
                if (!accountKeys.includes(publicKey)) accountKeys.push(publicKey);
              }),
            attachKey: async (_podId: PodId, publicKey: string, call_: CallOptions) =>
              call('attachKey', call_, () => {
                if (!accountKeys.includes(publicKey)) accountKeys.push(publicKey);
              }),
          },
        }),
    ...(options.volumes === undefined
      ? {}
      : {
          volumes: {
            listVolumes: async (call_: CallOptions) =>
              call('listVolumes', call_, () => volumes.map(freed)),
            removeVolume: async (volumeId: PodId, call_: CallOptions) =>
              call('removeVolume', call_, () => {
                const at = volumes.findIndex((volume) => volume.volumeId === volumeId);
                if (volumes.slice(at, at + 1).some((one) => freed(one).podIds.length > 0))
                  throw new InputError('unsupported', 'It is attached.');
                if (at !== -1 && !faults.volumesStay) volumes.splice(at, 1);
              }),
          },
        }),
    ...(options.bootLog === undefined
      ? {}
      : {
          logs: {
            ...(options.tellsPulls === true ? { tellsPulls: true as const } : {}),
            bootLog: async (podId: PodId, _lines: number, call_: CallOptions) =>
              call('bootLog', call_, () => options.bootLog?.(podId) ?? ''),
          },
        }),
    ...(options.canBid === true
      ? {
          bids: {
            changeBid: async (podId: PodId, usdPerHour: number, call_: CallOptions) =>
              call('changeBid', call_, () => {
                const machine = find(podId);
                if (machine !== undefined) machine.usdPerHour = usdPerHour;
              }),
          },
        }
      : {}),
    ...(options.canStop === true
      ? {
          power: {
            stopPod: async (podId: PodId, call_: CallOptions) =>
              call('stopPod', call_, () => {
                const machine = find(podId);
                if (machine !== undefined) machine.status = 'stopped';
              }),
            startPod: async (podId: PodId, call_: CallOptions) =>
              call('startPod', call_, () => {
                const machine = find(podId);
                if (machine !== undefined) machine.status = 'running';
              }),
            restartPod: async (podId: PodId, call_: CallOptions) =>
              call('restartPod', call_, () => {
                const machine = find(podId);
                if (machine !== undefined) machine.status = 'running';
              }),
          },
        }
      : {}),
    ...(options.canHoldDeadlines === false
      ? {}
      : {
          deadlines: {
            setDeadline: async (podId: PodId, deadlineAt: string, call_: CallOptions) =>
              call('setDeadline', call_, () => {
                const machine = find(podId);
                if (machine !== undefined) machine.deadlineAt = deadlineAt;
              }),
          },
        }),
  };
}
