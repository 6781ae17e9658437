import type { CallOptions, Clock } from '../../core/call.ts';
import type { EmbeddedPodConfig } from '../../core/embedded-pod.ts';
import { InputError, PolicyError, ProviderError } from '../../core/errors.ts';
import { type PodId, podIdSchema } from '../../core/ids.ts';
import type { PodRequest, Provider, ProviderPod } from '../../core/provider.ts';
import { LOCAL_FACTS } from './facts.ts';
import { measureHardware, toOffers } from './hardware.ts';
import { exitOf, type LaunchDeps, launch } from './launch.ts';
import { lookAtPod } from './look.ts';
import { matches } from './match.ts';
import { createPodFiles } from './pod-files.ts';
import { createPower } from './power.ts';
import { guarded, tokenOf, tokenOfPod, unreadable } from './words.ts';

export interface LocalProviderDeps extends LaunchDeps {
  /** GPU_LEASE_HOME. */
  readonly home: string;
  readonly clock: Clock;
}

/**
 * Embedded pods on this machine, free of charge: each a process of its own in `<home>/pods/<token>`. The token is made
 * from the label, so a label that comes twice, at once or after any crash, is the same folder and the same pod.
 */
export function createLocalProvider(deps: LocalProviderDeps): Provider {
  const { home, clock } = deps;
  const files = createPodFiles(home);
  const look = async (token: string): Promise<ProviderPod | undefined> =>
    guarded(async () => lookAtPod(files, token, clock));
  const start = async (token: string): Promise<void> => {
    await launch(deps, [files.folderOf(token)], files.file(token, 'log'));
  };

  async function createPod(request: PodRequest, options: CallOptions): Promise<ProviderPod> {
    options.signal.throwIfAborted();
    const { config, offers } = await prepare(request, options);
    if (!offers.has(request.offerId))
      throw new InputError('offer_gone', 'This machine has no such offer.');
    const { deadlineAt, onExpiry } = request;
    const order = { order: 'run', at: clock.now().toISOString() } as const;
    const isNew = await guarded(async () => files.claim(config, { deadlineAt, onExpiry }, order));
    const seen = await look(config.podToken);
    // A crash between the folder and the process leaves a pod that was promised but never started.
    const neverStarted =
      seen?.status === 'failed' && (await files.state(config.podToken)) === undefined;
    if (seen === undefined)
      throw new ProviderError('provider_unavailable', 'A pod of this label is just being removed.');
    if (!isNew && !neverStarted) return seen;
    if (neverStarted) await guarded(async () => files.writeOrder(config.podToken, order));
    await start(config.podToken).catch(async (cause: unknown) => {
      await removeUnstarted(config, cause);
    });
    const { podId, label, createdAt } = config;
    return { podId, label, status: 'provisioning', usdPerHour: 0, createdAt };
  }

  async function prepare(
    request: PodRequest,
    options: CallOptions,
  ): Promise<{ readonly config: EmbeddedPodConfig; readonly offers: ReadonlySet<string> }> {
    if (request.maxUsdPerHour < 0)
      throw new PolicyError('price_changed', 'This pod costs 0 USD an hour, above the limit.');
    if (request.volume !== undefined)
      throw new InputError('unsupported', 'Local pods have no volumes.', {
        hint: 'Leave volume out: the files of a local pod lie on this machine.',
      });
    const token = tokenOf(request.label);
    const offers = toOffers(await measureHardware(home, options));
    return {
      offers: new Set(offers.map((offer) => offer.offerId)),
      config: {
        podId: podIdSchema.parse(`local:${token}`),
        label: request.label,
        offerId: request.offerId,
        podToken: token,
        authorizedKeys: [request.sshPublicKey.trim()],
        env: { ...request.env },
        onExpiry: request.onExpiry,
        createdAt: clock.now().toISOString(),
        ...(request.setup === undefined ? {} : { setup: request.setup }),
        ...(request.setupEveryStart === true ? { setupEveryStart: true } : {}),
      },
    };
  }

  async function removeUnstarted({ podToken, podId }: EmbeddedPodConfig, cause: unknown) {
    const removed = await files.remove(podToken).then(
      () => true,
      () => false,
    );
    if (removed)
      throw new ProviderError('no_capacity', 'The pod program could not be started.', { cause });
    throw new ProviderError(
      'outcome_unknown',
      `The pod program could not be started, and the folder of ${podId} could not be removed.`,
      { cause },
    );
  }

  return {
    name: 'local',
    facts: LOCAL_FACTS,
    async listOffers(query, options) {
      options.signal.throwIfAborted();
      const offers = toOffers(await measureHardware(home, options));
      return offers.filter((offer) => matches(offer, query));
    },
    createPod,
    async getPod(podId, { signal }) {
      signal.throwIfAborted();
      const token = tokenOfPod(podId);
      return token === undefined ? undefined : look(token);
    },
    async listPods({ signal }) {
      signal.throwIfAborted();
      const tokens = await guarded(async () => files.tokens());
      const pods = await Promise.all(
        tokens.map(async (token) => look(token).catch(() => unreadable(token))),
      );
      return pods.filter((pod) => pod !== undefined);
    },
    async terminatePod(podId, { signal }) {
      signal.throwIfAborted();
      const token = tokenOfPod(podId);
      if (token === undefined || (await look(token).catch(() => 'unreadable')) === undefined)
        return;
      await guarded(async () => {
        if (await files.hasFolder(token))
          await files.writeOrder(token, { order: 'destroy', at: clock.now().toISOString() });
        await launch(deps, [files.folderOf(token), 'destroy'], undefined);
      });
    },
    async checkAccount({ signal }) {
      signal.throwIfAborted();
      return Promise.resolve({ reachable: true });
    },
    power: createPower({
      files,
      clock,
      start: async (token) => guarded(async () => start(token)),
      stop: async (token, options) =>
        exitOf(
          await launch(deps, [files.folderOf(token), 'stop'], files.file(token, 'log')),
          options,
        ),
      tokenOf: async (podId) => existing(podId),
    }),
    deadlines: {
      async setDeadline(podId, deadlineAt, { signal }) {
        signal.throwIfAborted();
        const { token, config } = await existingConfig(podId);
        await guarded(async () =>
          files.writeDeadline(token, { deadlineAt, onExpiry: config.onExpiry }),
        );
      },
    },
  };

  async function existing(podId: PodId): Promise<string> {
    return (await existingConfig(podId)).token;
  }
  async function existingConfig(
    podId: PodId,
  ): Promise<{ readonly token: string; readonly config: EmbeddedPodConfig }> {
    const token = tokenOfPod(podId);
    const config = token === undefined ? undefined : await guarded(async () => files.config(token));
    if (token === undefined || config === undefined)
      throw new InputError('not_found', `No local pod has the id ${podId}.`);
    return { token, config };
  }
}
