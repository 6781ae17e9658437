import type { CallOptions, Clock } from '../../core/call.ts';
import {
  ConfigError,
  InputError,
  isAppError,
  PolicyError,
  ProviderError,
} from '../../core/errors.ts';
import { KeyedLock } from '../../core/keyed-lock.ts';
import type { Offer } from '../../core/offer.ts';
import type { PodRequest, ProviderPod } from '../../core/provider.ts';
import { untilAborted } from '../abort.ts';
import { NoAnswerError } from '../answer.ts';
import type { Answer } from '../http.ts';
import type { Pacer } from '../pacer.ts';
import type { VastApi } from './api.ts';
import { checkRequest, createBodyOf, imageLoginOf } from './create-body.ts';
import { envelopeOf, isRefusal, refusalOf, vastFailure } from './failure.ts';
import { type Ask, askOf, podIdOf } from './ids.ts';
import { onstartOf } from './onstart.ts';
import { checkContract, isDearer, removeFailed } from './remove-failed.ts';
import { resolveTemplate } from './templates.ts';
import { type NewVolume, planVolume } from './volumes.ts';
import type { Contract } from './wire.ts';

const WHAT = 'The creation';
/** Lists may lag behind a creation whose answer was lost. */
const LOOKUP_SECONDS = [1.5, 5];
const MAX_TRIES = 3;
const MAX_REMEMBERED = 200;

export interface CreationDeps {
  readonly api: VastApi;
  readonly clock: Clock;
  readonly pacer: Pacer;
  /** Where a pod finds Vast.ai. */
  readonly apiUrl: string;
  readonly createBackoffSeconds: number;
  /** One offer priced afresh; `undefined`: gone. */
  readonly priced: (
    request: Pick<PodRequest, 'offerId' | 'diskGb' | 'bidUsdPerHour'>,
    options: CallOptions,
  ) => Promise<Offer | undefined>;
  readonly toPod: (row: Contract) => ProviderPod;
}

/** Orders a pod once. The laws 1, 2, 3 and 7 of the port are kept here. */
export function createCreation(
  deps: CreationDeps,
): (request: PodRequest, options: CallOptions) => Promise<ProviderPod> {
  const { api, clock, pacer } = deps;
  const lock = new KeyedLock();

  /** What was made a moment ago may be missing from a list. */
  const made = new Map<string, number>();

  async function byLabel(label: string, options: CallOptions): Promise<ProviderPod | undefined> {
    const known = made.get(label);
    const shown = known === undefined ? undefined : await api.show(known, options);
    const row = shown ?? (await api.list(label, options))[0];
    return row === undefined ? undefined : deps.toPod(row);
  }

  async function createOnce(request: PodRequest, options: CallOptions): Promise<ProviderPod> {
    options.signal.throwIfAborted();
    const before = await byLabel(request.label, options);
    if (before !== undefined) return before;
    const prepared = await prepare(request, options);
    const { askId, body, newVolume } = prepared;
    const secrets = secretsOf(request);
    for (let tries = 1; ; tries += 1) {
      const answer = await ask(askId, body, secrets, request.label, options);
      if ('podId' in answer) return answer;
      const contract = envelopeOf(answer.body).new_contract ?? undefined;
      if (answer.status < 300 && !isRefusal(answer.body) && contract !== undefined)
        return accepted(contract, request, prepared, options);
      if (contract !== undefined)
        throw await removeFailed({ api, clock }, { contract, answer, newVolume }, options);
      if (mayHaveDone(answer)) return afterLoss(request.label, undefined, options);
      if (refusalOf(answer) !== 'too_frequent' || tries >= MAX_TRIES) throw refusalError(answer);
      const found = await again(request.label, tries, options);
      if (found !== undefined) return found;
    }
  }

  async function accepted(
    contract: number,
    { label, maxUsdPerHour, volume }: PodRequest,
    { offer, volumeUsdPerHour }: Prepared,
    options: CallOptions,
  ): Promise<ProviderPod> {
    for (const oldest of [...made.keys()].slice(0, Math.max(0, made.size - MAX_REMEMBERED)))
      made.delete(oldest);
    made.set(label, contract);
    // A volume may be part of what the contract tells, and was agreed apart.
    const most = { contract, maxUsdPerHour: maxUsdPerHour + volumeUsdPerHour };
    const told = await checkContract({ api, clock }, most, options);
    return {
      podId: podIdOf(contract),
      label,
      status: 'provisioning',
      usdPerHour: (volume === undefined ? told : undefined) ?? offer.usdPerHour,
      createdAt: clock.now().toISOString(),
      machineId: offer.machineId,
    };
  }

  /** The answer, or the pod that was found when no answer came. */
  async function ask(
    askId: number,
    body: unknown,
    secrets: readonly string[],
    label: string,
    options: CallOptions,
  ): Promise<Answer | ProviderPod> {
    try {
      return await api.create(askId, body, secrets, options);
    } catch (failure) {
      options.signal.throwIfAborted();
      if (failure instanceof NoAnswerError && !failure.wasSent) throw failure;
      return afterLoss(label, failure, options);
    }
  }

  /** Found, it was made; not found twice, nobody can tell. */
  async function afterLoss(
    label: string,
    cause: unknown,
    options: CallOptions,
  ): Promise<ProviderPod> {
    options.progress?.('The answer to the creation was lost. Looking for the pod by its label.');
    for (const seconds of LOOKUP_SECONDS) {
      await clock.sleep(seconds, options);
      const found = await byLabel(label, options).catch((failure: unknown) => {
        options.signal.throwIfAborted();
        if (isAppError(failure)) return undefined;
        throw failure;
      });
      if (found !== undefined) return found;
    }
    throw new ProviderError(
      'outcome_unknown',
      `The answer of Vast.ai to the creation was lost, and no pod with the label ${label} is listed yet.`,
      { cause },
    );
  }

  /** A 429 is a creation that did not happen; its endpoint has a penalty of its own. */
  async function again(
    label: string,
    tries: number,
    options: CallOptions,
  ): Promise<ProviderPod | undefined> {
    const seconds = deps.createBackoffSeconds * 2 ** (tries - 1);
    options.progress?.(`Vast.ai was asked too often: trying again in ${seconds} s.`);
    pacer.hold('create', seconds);
    await clock.sleep(seconds, options);
    return byLabel(label, options);
  }

  interface Prepared {
    readonly askId: number;
    readonly offer: Offer;
    readonly body: unknown;
    readonly newVolume: NewVolume | undefined;
    readonly volumeUsdPerHour: number;
  }
  async function prepare(request: PodRequest, options: CallOptions): Promise<Prepared> {
    checkRequest(request);
    if (request.registryLogin !== undefined) imageLoginOf(request.registryLogin);
    const asked = askOf(request.offerId);
    if (asked !== undefined) checkKind(asked, request);
    const offer = asked === undefined ? undefined : await deps.priced(request, options);
    if (asked === undefined || offer === undefined)
      throw new InputError('offer_gone', 'Vast.ai has no such offer any more.');
    refuseDearer(request, offer);
    const template =
      request.template === undefined
        ? undefined
        : await resolveTemplate(api, request.template, options);
    const freshName = `gl_${request.label.replace(/[^A-Za-z0-9_]/g, '_')}`.slice(0, 64);
    const volume =
      request.volume === undefined
        ? undefined
        : await planVolume(api, request.volume, offer.machineId, freshName, options);
    const onstart = onstartOf({
      apiUrl: deps.apiUrl,
      onExpiry: request.onExpiry,
      madeSeconds: Math.floor(clock.now().getTime() / 1000),
      deadlineSeconds: Math.floor(Date.parse(request.deadlineAt) / 1000),
      sshPublicKey: request.sshPublicKey,
      envNames: Object.keys(request.env),
      setup: request.setup,
      templateOnstart: template?.onstart ?? undefined,
    });
    const body = createBodyOf(request, { onstart, template, volumeInfo: volume?.info });
    const { newName: name, namesakes = [], usdPerHour: volumeUsdPerHour = 0 } = volume ?? {};
    const newVolume = name === undefined ? undefined : { name, namesakes };
    return { askId: asked.ask, offer, body, newVolume, volumeUsdPerHour };
  }

  return async (request, options) => {
    options.signal.throwIfAborted();
    const work = lock.run(request.label, async () => createOnce(request, options));
    return untilAborted(work, options);
  };
}

/** Without a bid an interruptible offer would be rented on demand, at the full price (vast.md 16.8). */
function checkKind({ isBid }: Ask, { bidUsdPerHour }: PodRequest): void {
  if (isBid && bidUsdPerHour === undefined)
    throw new InputError('invalid_input', 'An interruptible offer needs bidUsdPerHour.');
  if (!isBid && bidUsdPerHour !== undefined)
    throw new InputError('invalid_input', 'This offer is on demand and takes no bid.');
}

function refuseDearer({ maxUsdPerHour, bidUsdPerHour }: PodRequest, offer: Offer): void {
  if (isDearer(offer.usdPerHour, maxUsdPerHour))
    throw new PolicyError(
      'price_changed',
      `The offer now costs $${offer.usdPerHour.toFixed(4)} an hour, more than the $${maxUsdPerHour.toFixed(4)} that were agreed. Nothing was rented.`,
    );
  const least = offer.minBidUsdPerHour ?? 0;
  if (bidUsdPerHour !== undefined && bidUsdPerHour < least)
    throw new InputError(
      'invalid_input',
      `The lowest bid for this offer is now $${least.toFixed(4)} an hour.`,
    );
}

/** A broken gateway, a page that is no JSON, or a success without a number: the order may have been carried out. */
function mayHaveDone({ status, body }: Answer): boolean {
  if (status >= 500) return true;
  return status < 300 && !isRefusal(body);
}

/** A creation that is refused for reasons of its own is no capacity, unless it is known to be more. */
function refusalError(answer: Answer): Error {
  const failure = vastFailure(answer, WHAT, true);
  if (failure instanceof ConfigError || refusalOf(answer) !== 'missing') return failure;
  return new InputError('offer_gone', `${WHAT}: Vast.ai has no such offer any more.`, {
    cause: failure,
  });
}

function secretsOf({ env, registryLogin }: PodRequest): readonly string[] {
  const values = Object.values(env).filter((value) => value.length >= 8);
  return registryLogin === undefined ? values : [...values, registryLogin.password];
}
