import type { CallOptions } from '../../core/call.ts';
import { InputError, PolicyError, ProviderError } from '../../core/errors.ts';
import { KeyedLock } from '../../core/keyed-lock.ts';
import type { Offer } from '../../core/offer.ts';
import type { PodRequest, ProviderPod } from '../../core/provider.ts';
import { untilAborted } from '../abort.ts';
import { NoAnswerError } from '../answer.ts';
import type { Answer } from '../http.ts';
import type { Pacer } from '../pacer.ts';
import { lambdaFailure, mayHaveDone } from './failure.ts';
import { podIdOf } from './ids.ts';
import { type Launch, prepareLaunch } from './launch.ts';
import { LAUNCH_LANE } from './paces.ts';
import { isProvenRemoved, quietly, type RemovalDeps } from './terminate.ts';
import { isEnded, labelOf, toPod } from './translate.ts';
import { launchedSchema } from './wire.ts';

const WHAT = 'The creation';
/** Lists may lag behind a launch whose answer was lost. */
const LOOKUP_SECONDS = [2, 8];
const MAX_TRIES = 3;

export interface CreationDeps extends RemovalDeps {
  readonly pacer: Pacer;
  readonly isLocal: boolean;
  readonly launchBackoffSeconds: number;
}

/** Launches a machine once. The laws 1, 2, 3 and 7 of the port are kept here: there is no key against doing it twice. */
export function createCreation(
  deps: CreationDeps,
): (request: PodRequest, options: CallOptions) => Promise<ProviderPod> {
  const { api, clock, pacer, launches, patience } = deps;
  const lock = new KeyedLock();

  async function byLabel(label: string, options: CallOptions): Promise<ProviderPod | undefined> {
    const known = launches.idOf(label);
    const shown = known === undefined ? undefined : await api.instance(known, options);
    const row =
      shown ??
      (await api.instances(options)).find((each) => labelOf(each) === label && !isEnded(each));
    if (row !== undefined && !isEnded(row)) return toPod(row, deps.isLocal);
    return known === undefined ? undefined : launches.young(known);
  }

  async function createOnce(request: PodRequest, options: CallOptions): Promise<ProviderPod> {
    options.signal.throwIfAborted();
    const before = await byLabel(request.label, options);
    if (before !== undefined) return before;
    const launch = await prepareLaunch(deps, request, options);
    for (let tries = 1; ; tries += 1) {
      const answer = await ask(launch, request, options);
      if ('podId' in answer) return answer;
      const made = answer.status < 300 ? launchedSchema.safeParse(answer.body) : undefined;
      const [id, ...more] = made?.success === true ? made.data.data.instance_ids : [];
      if (id !== undefined) return accepted([id, ...more], launch.offer, request, options);
      if (answer.status < 300 || mayHaveDone(answer))
        return afterLoss(request.label, lambdaFailure(answer, WHAT), options);
      if (answer.status !== 429) throw await refused(answer, launch, request, options);
      if (tries >= MAX_TRIES) throw lambdaFailure(answer, WHAT);
      const found = await again(request.label, tries, options);
      if (found !== undefined) return found;
    }
  }

  /** One machine was asked for: any other that came with it is ended at once. */
  async function accepted(
    [id, ...more]: readonly [string, ...string[]],
    offer: Offer,
    { label, maxUsdPerHour }: PodRequest,
    options: CallOptions,
  ): Promise<ProviderPod> {
    const pod: ProviderPod = {
      podId: podIdOf(id),
      label,
      status: 'provisioning',
      usdPerHour: offer.usdPerHour,
      createdAt: clock.now().toISOString(),
    };
    launches.remember(id, pod);
    for (const other of more) await removeOrTell(other, 'came without being asked for', options);
    // The price may have risen between the last look and the order.
    const row = await quietly(api.instance(id, options), options);
    const cents = row?.instance_type?.price_cents_per_hour;
    if (cents === undefined || !isDearer(cents / 100, maxUsdPerHour)) return pod;
    options.progress?.('The price rose while it was ordered: removing the pod.');
    await removeOrTell(id, 'became dearer than agreed', options);
    throw new PolicyError(
      'price_changed',
      `The pod would have cost $${(cents / 100).toFixed(4)} an hour, more than the $${maxUsdPerHour.toFixed(4)} that were agreed. It was removed at once.`,
    );
  }

  async function removeOrTell(id: string, why: string, options: CallOptions): Promise<void> {
    if (await isProvenRemoved(deps, id, options)) return;
    const podId = podIdOf(id);
    throw new ProviderError(
      'outcome_unknown',
      `${podId} ${why}, and could not be proven removed.`,
      {
        hint: `Call destroy for ${podId}: it may be charged.`,
      },
    );
  }

  /** A refusal should leave nothing. A machine that is there all the same is removed, and so is a new, empty volume. */
  async function refused(
    answer: Answer,
    launch: Launch,
    { label }: PodRequest,
    options: CallOptions,
  ): Promise<Error> {
    const failure = lambdaFailure(answer, WHAT);
    const left = (await quietly(api.instances(options), options))?.find(
      (row) => labelOf(row) === label && !isEnded(row),
    );
    if (left !== undefined) {
      options.progress?.('The creation failed but left a machine: removing it.');
      await removeOrTell(left.id, 'was left by a creation that failed', options);
    }
    if (launch.newFileSystemId !== undefined)
      await quietly(api.deleteFileSystem(launch.newFileSystemId, options), options);
    if (left !== undefined)
      return new ProviderError(
        'no_capacity',
        'Lambda could not start the pod. What it made is removed.',
        { cause: failure, isRemoved: true },
      );
    return failure.code === 'not_found'
      ? new InputError('offer_gone', `${WHAT}: Lambda has no such offer any more.`, {
          cause: failure,
        })
      : failure;
  }

  /** The answer, or the pod that was found when no answer came. */
  async function ask(
    { body, secrets }: Launch,
    { label }: PodRequest,
    options: CallOptions,
  ): Promise<Answer | ProviderPod> {
    try {
      return await api.launch(body, secrets, options);
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
      await clock.sleep(seconds * patience, options);
      const found = await quietly(byLabel(label, options), options);
      if (found !== undefined) return found;
    }
    throw new ProviderError(
      'outcome_unknown',
      `The answer of Lambda to the creation was lost, and no pod with the label ${label} is listed yet.`,
      { cause },
    );
  }

  /** A 429 is a launch that did not happen; launches have a limit of their own. */
  async function again(
    label: string,
    tries: number,
    options: CallOptions,
  ): Promise<ProviderPod | undefined> {
    const seconds = deps.launchBackoffSeconds * 2 ** (tries - 1);
    options.progress?.(`Lambda was asked too often: trying again in ${seconds} s.`);
    pacer.hold(LAUNCH_LANE, seconds);
    await clock.sleep(seconds, options);
    return byLabel(label, options);
  }

  return async (request, options) => {
    options.signal.throwIfAborted();
    const work = lock.run(request.label, async () => createOnce(request, options));
    return untilAborted(work, options);
  };
}

/** Prices are rounded here and there. */
export function isDearer(usdPerHour: number, maxUsdPerHour: number): boolean {
  return usdPerHour > maxUsdPerHour * 1.001 + 0.000_01;
}
