import type { CallOptions } from '../../core/call.ts';
import { isAppError, PolicyError, ProviderError } from '../../core/errors.ts';
import { KeyedLock } from '../../core/keyed-lock.ts';
import { poll } from '../../core/poll.ts';
import type { PodRequest, ProviderPod } from '../../core/provider.ts';
import { untilAborted } from '../abort.ts';
import { NoAnswerError } from '../answer.ts';
import type { Order } from './create-body.ts';
import { deploy } from './deploy.ts';
import { FailedError, UnexplainedError } from './failure.ts';
import { podIdOf } from './ids.ts';
import { createNewVolume, type NewVolume, withVolume } from './new-volume.ts';
import type { PodOrders } from './orders.ts';
import type { PodApi } from './pod-api.ts';
import { isDearer, type PrepareDeps, prepare } from './prepare.ts';
import { diskUsdPerHour } from './prices.ts';
import type { PodRow } from './rows.ts';
import type { VolumeApi } from './volume-api.ts';
import type { StorageMemory } from './volumes.ts';

/** Lists may lag behind a creation whose answer was lost. */
const LOOKUP_SECONDS = [1.5, 5];
const MAX_TRIES = 3;
const MAX_REMEMBERED = 200;
const GONE_SECONDS = 60;
const LOOK_EVERY_SECONDS = 2.5;

export interface CreationDeps extends PrepareDeps {
  readonly pods: PodApi;
  readonly orders: Pick<PodOrders, 'terminate'>;
  readonly volumeApi: VolumeApi;
  readonly storage: StorageMemory;
  readonly backoffSeconds: number;
  readonly toPod: (row: PodRow) => ProviderPod | undefined;
}

/** Orders a pod once. The laws 1, 2, 3 and 7 of the port are kept here. */
export function createCreation(
  deps: CreationDeps,
): (request: PodRequest, options: CallOptions) => Promise<ProviderPod> {
  const { pods, clock } = deps;
  const lock = new KeyedLock();
  /** What was made a moment ago may be missing from a list. */
  const made = new Map<string, string>();

  async function byLabel(label: string, options: CallOptions): Promise<PodRow | undefined> {
    const known = made.get(label);
    const shown = known === undefined ? undefined : await pods.pod(known, options);
    return (
      shown ??
      (await pods.pods(options)).find(
        ({ name, status }) => name === label && status !== 'TERMINATED',
      )
    );
  }

  /** Twice, apart; `undefined`: not there either time, or nobody could tell. */
  async function lookedUp(label: string, options: CallOptions): Promise<PodRow | undefined> {
    for (const seconds of LOOKUP_SECONDS) {
      await clock.sleep(seconds, options);
      const found = await byLabel(label, options).catch((failure: unknown) => {
        options.signal.throwIfAborted();
        if (isAppError(failure)) return undefined;
        throw failure;
      });
      if (found !== undefined) return found;
    }
    return undefined;
  }

  async function createOnce(request: PodRequest, options: CallOptions): Promise<ProviderPod> {
    options.signal.throwIfAborted();
    const before = await byLabel(request.label, options);
    if (before !== undefined) return started(before);
    const { order, usdPerHour, volumeIn } = await prepare(deps, request, options);
    const volume: NewVolume | undefined =
      request.volume === undefined || volumeIn === undefined
        ? undefined
        : await createNewVolume(deps, request.volume, volumeIn, request.label, options);
    return withVolume(deps, volume, options, async () => {
      const whole = volume === undefined ? order : { ...order, volume };
      const row = await ordered(whole, secretsOf(request), options);
      return accepted(row, request, usdPerHour, options);
    });
  }

  /** The pod that was made, whether or not its answer came. */
  async function ordered(
    order: Order,
    secrets: readonly string[],
    options: CallOptions,
  ): Promise<PodRow> {
    for (let tries = 1; ; tries += 1) {
      try {
        const row = await deploy(deps.transport, order, secrets, options);
        if (row !== undefined) return row;
        throw new UnexplainedError('no_capacity', 'The creation: RunPod said yes and made no pod.');
      } catch (failure) {
        options.signal.throwIfAborted();
        if (failure instanceof UnexplainedError || failure instanceof FailedError)
          return await removed(order.label, failure, options);
        if (!isAppError(failure)) throw failure;
        if (failure.code === 'provider_unavailable') {
          if (failure instanceof NoAnswerError && !failure.wasSent) throw failure;
          return await afterLoss(order.label, failure, options);
        }
        if (failure.code !== 'rate_limited' || tries >= MAX_TRIES) throw failure;
        const seconds = Math.max(deps.backoffSeconds * 2 ** tries, failure.retryAfterSeconds ?? 0);
        options.progress?.(`RunPod was asked too often: trying again in ${seconds} s.`);
        await clock.sleep(seconds, options);
        const found = await byLabel(order.label, options);
        if (found !== undefined) return found;
      }
    }
  }

  /** Found, it was made; not found twice, nobody can tell. */
  async function afterLoss(label: string, cause: unknown, options: CallOptions): Promise<PodRow> {
    options.progress?.('The answer to the creation was lost. Looking for the pod by its name.');
    const found = await lookedUp(label, options);
    if (found !== undefined) return found;
    throw notListed(label, cause);
  }

  /** It was refused: what was made all the same is ended and seen gone. Always throws. */
  async function removed(
    label: string,
    cause: ProviderError,
    options: CallOptions,
  ): Promise<never> {
    const left = await lookedUp(label, options);
    if (left === undefined) {
      if (cause instanceof UnexplainedError) throw cause;
      throw notListed(label, cause);
    }
    await remove(left.id, 'The creation failed', options);
    throw new ProviderError(
      'no_capacity',
      'The creation failed but left a pod, which is removed.',
      { cause },
    );
  }

  async function remove(id: string, why: string, options: CallOptions): Promise<void> {
    options.progress?.(`${why}: removing the pod.`);
    const isGone = await poll(
      async () => {
        const quietly = async <T>(work: Promise<T>): Promise<{ readonly value: T } | undefined> =>
          work.then(
            (value) => ({ value }),
            (failure: unknown) => {
              options.signal.throwIfAborted();
              if (isAppError(failure)) return undefined;
              throw failure;
            },
          );
        await quietly(deps.orders.terminate(id, options));
        const look = await quietly(pods.pod(id, options));
        return look !== undefined && (look.value?.status ?? 'TERMINATED') === 'TERMINATED'
          ? true
          : undefined;
      },
      { ...options, clock, timeoutSeconds: GONE_SECONDS, everySeconds: LOOK_EVERY_SECONDS },
    );
    if (isGone === true) return;
    throw new ProviderError(
      'outcome_unknown',
      `${why}, and ${podIdOf(id)} could not be proven removed.`,
      { hint: `Call destroy for ${podIdOf(id)}: it may be charged.` },
    );
  }

  async function accepted(
    row: PodRow,
    { label, maxUsdPerHour }: PodRequest,
    usdPerHour: number,
    options: CallOptions,
  ): Promise<ProviderPod> {
    for (const oldest of [...made.keys()].slice(0, Math.max(0, made.size - MAX_REMEMBERED)))
      made.delete(oldest);
    made.set(label, row.id);
    const told = row.usdPerHour === undefined ? usdPerHour : row.usdPerHour + diskUsdPerHour(row);
    if (isDearer(told, maxUsdPerHour)) {
      await remove(row.id, 'The pod costs more than was agreed', options);
      throw new PolicyError(
        'price_changed',
        `The pod would have cost $${told.toFixed(4)} an hour, more than the $${maxUsdPerHour.toFixed(4)} that were agreed. It was removed at once.`,
      );
    }
    return { ...started(row), usdPerHour: told };
  }

  /** Just made, it is on its way, whatever is told of it. */
  function started(row: PodRow): ProviderPod {
    const pod = deps.toPod(row);
    if (pod !== undefined && pod.status !== 'unknown') return pod;
    return {
      podId: podIdOf(row.id),
      label: row.name,
      status: 'provisioning',
      usdPerHour: row.usdPerHour ?? 0,
    };
  }

  return async (request, options) => {
    options.signal.throwIfAborted();
    const work = lock.run(request.label, async () => createOnce(request, options));
    return untilAborted(work, options);
  };
}

function secretsOf({ env, registryLogin }: PodRequest): readonly string[] {
  const values = Object.values(env).filter((value) => value.length >= 8);
  return registryLogin === undefined ? values : [...values, registryLogin.password];
}

function notListed(label: string, cause: unknown): ProviderError {
  return new ProviderError(
    'outcome_unknown',
    `RunPod gave no clear answer to the creation, and no pod with the name ${label} is listed yet.`,
    { cause },
  );
}
