import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/call.ts';
import { isAppError } from '../../src/core/errors.ts';
import { type PodId, podIdSchema, providerOf, randomToken } from '../../src/core/ids.ts';
import type { OfferQuery } from '../../src/core/offer.ts';
import { poll } from '../../src/core/poll.ts';
import type { PodRequest, Provider, ProviderPod } from '../../src/core/provider.ts';

export interface ProviderFixture extends AsyncDisposable {
  readonly provider: Provider;
  /** A request that this fixture can fill, with a label of its own each time. */
  request(changes?: Partial<PodRequest>): PodRequest;
  /** A pod id of the right form that was never given. */
  readonly unknownPodId: PodId;
  /** The key that must appear nowhere; absent where there is none. */
  readonly apiKey?: string;
  /** A `maxUsdPerHour` below the price of the offer in `request`. */
  readonly tooLowUsdPerHour: number;
  /** The next creation happens, but its answer does not arrive. */
  readonly loseNextAnswer?: () => void;
  /** The next creation does not happen and gives no answer. */
  readonly loseNextRequest?: () => void;
  /** The next creation fails after a machine has appeared. */
  readonly failAfterMachine: () => void;
  /** Where the time of the cloud stands still by itself: lets so much of it pass. */
  readonly pass?: (seconds: number) => Promise<void>;
}

export const ANY_OFFER: OfferQuery = {
  gpu: [],
  gpuCount: 1,
  minVramGb: 1,
  diskGb: 1,
  minReliability: 0,
  regions: [],
  interruptible: false,
};

const ISO_UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;
const STEP_SECONDS = 20;
/** Between two looks, where time passes only when it is told to. */
const CLOUD_STEP_SECONDS = 5;

/** What the provider has; a law about what it lacks is no test of it. Checked against the fixture by a test of its own. */
export interface ProviderTraits {
  /** Requests travel, so answers and requests can be lost. */
  readonly isRemote: boolean;
  readonly hasKey: boolean;
  readonly canStop: boolean;
  readonly holdsDeadlines: boolean;
}

/** The laws of `Provider`, as tests. Every provider's own test file calls this once. */
export function describeProvider(
  name: string,
  traits: ProviderTraits,
  open: () => Promise<ProviderFixture>,
): void {
  const lawOf = (holds: boolean, title: string, law: () => Promise<void>): void => {
    if (holds) it(title, law);
  };
  describe(`${name} obeys the provider laws`, () => {
    const { signal } = new AbortController();
    const until = async (
      { provider, pass }: ProviderFixture,
      podId: PodId,
      holds: (pod: ProviderPod | undefined) => boolean,
    ): Promise<ProviderPod | undefined> => {
      const seen = await poll(
        async () => {
          const pod = await provider.getPod(podId, { signal });
          if (holds(pod)) return { pod };
          await pass?.(CLOUD_STEP_SECONDS);
          return undefined;
        },
        { clock: systemClock, signal, timeoutSeconds: STEP_SECONDS, everySeconds: 0.05 },
      );
      if (seen === undefined) throw new Error('The pod did not get there.');
      return seen.pod;
    };
    const isRunning = (pod: ProviderPod | undefined): boolean => pod?.status === 'running';
    const isGone = (pod: ProviderPod | undefined): boolean => pod === undefined;

    it('1: answers create at once, before the machine is up', async () => {
      await using fixture = await open();
      const request = fixture.request();
      const started = performance.now();
      const pod = await fixture.provider.createPod(request, { signal });
      expect(performance.now() - started).toBeLessThan(5_000);
      expect(pod).toMatchObject({ status: 'provisioning', label: request.label });
      expect(providerOf(pod.podId)).toBe(fixture.provider.name);
      const running = await until(fixture, pod.podId, isRunning);
      expect(running?.endpoint).toMatchObject({ podId: pod.podId });
    });

    it('2: the label appears in the list, and again the same label is the same pod', async () => {
      await using fixture = await open();
      const request = fixture.request();
      const first = await fixture.provider.createPod(request, { signal });
      const again = await fixture.provider.createPod(request, { signal });
      expect(again.podId).toBe(first.podId);
      const pods = await fixture.provider.listPods({ signal });
      expect(pods.filter((pod) => pod.label === request.label)).toHaveLength(1);
    });

    it('2: creations of one label at the same time make one pod', async () => {
      await using fixture = await open();
      const request = fixture.request();
      const pods = await Promise.all(
        Array.from({ length: 5 }, async () => fixture.provider.createPod(request, { signal })),
      );
      expect(new Set(pods.map((pod) => pod.podId)).size).toBe(1);
      const listed = await fixture.provider.listPods({ signal });
      expect(listed.filter((pod) => pod.label === request.label)).toHaveLength(1);
    });

    lawOf(traits.isRemote, '2: a lost answer is looked up by label, never repeated', async () => {
      await using fixture = await open();
      const request = fixture.request();
      fixture.loseNextAnswer?.();
      const pod = await fixture.provider.createPod(request, { signal });
      expect(pod.label).toBe(request.label);
      const listed = await fixture.provider.listPods({ signal });
      expect(listed.map(({ label }) => label)).toEqual([request.label]);
    });

    lawOf(traits.isRemote, '2: a lost request is unknown, and makes nothing', async () => {
      await using fixture = await open();
      fixture.loseNextRequest?.();
      await expect(fixture.provider.createPod(fixture.request(), { signal })).rejects.toMatchObject(
        { code: 'outcome_unknown' },
      );
      expect(await fixture.provider.listPods({ signal })).toEqual([]);
    });

    it('3: a creation that fails leaves nothing behind', async () => {
      await using fixture = await open();
      fixture.failAfterMachine();
      await expect(fixture.provider.createPod(fixture.request(), { signal })).rejects.toMatchObject(
        { code: 'no_capacity' },
      );
      expect(await fixture.provider.listPods({ signal })).toEqual([]);
    });

    it('has what its traits say', async () => {
      await using fixture = await open();
      expect({
        isRemote: fixture.loseNextAnswer !== undefined && fixture.loseNextRequest !== undefined,
        hasKey: fixture.apiKey !== undefined,
        canStop: fixture.provider.power !== undefined,
        holdsDeadlines: fixture.provider.deadlines !== undefined,
      }).toEqual(traits);
    });

    it('4: a look never waits, and gone is undefined', async () => {
      await using fixture = await open();
      const started = performance.now();
      expect(await fixture.provider.getPod(fixture.unknownPodId, { signal })).toBeUndefined();
      const { podId } = await fixture.provider.createPod(fixture.request(), { signal });
      expect(await fixture.provider.getPod(podId, { signal })).toMatchObject({ podId });
      expect(performance.now() - started).toBeLessThan(5_000);
    });

    it('5: takes a second terminate, and one of an unknown pod, for done', async () => {
      await using fixture = await open();
      const { podId } = await fixture.provider.createPod(fixture.request(), { signal });
      await until(fixture, podId, isRunning);
      await fixture.provider.terminatePod(podId, { signal });
      await fixture.provider.terminatePod(podId, { signal });
      await until(fixture, podId, isGone);
      await fixture.provider.terminatePod(podId, { signal });
      await fixture.provider.terminatePod(fixture.unknownPodId, { signal });
      const listed = await fixture.provider.listPods({ signal });
      expect(listed.map((pod) => pod.podId)).not.toContain(podId);
    });

    it('5: a pod that is still starting can be terminated', async () => {
      await using fixture = await open();
      const { podId } = await fixture.provider.createPod(fixture.request(), { signal });
      await fixture.provider.terminatePod(podId, { signal });
      await until(fixture, podId, isGone);
    });

    it('6: offers and pods carry prices per hour and times in UTC', async () => {
      await using fixture = await open();
      const offers = await fixture.provider.listOffers(ANY_OFFER, { signal });
      expect(offers.length).toBeGreaterThan(0);
      for (const offer of offers) {
        expect(offer.provider).toBe(fixture.provider.name);
        expect(offer.usdPerHour).toBeGreaterThanOrEqual(0);
      }
      const pod = await fixture.provider.createPod(fixture.request(), { signal });
      const seen = await fixture.provider.getPod(pod.podId, { signal });
      expect(seen?.createdAt).toMatch(ISO_UTC);
      expect(seen?.usdPerHour).toBeGreaterThanOrEqual(0);
    });

    it('7: a price above the limit rents nothing', async () => {
      await using fixture = await open();
      const request = fixture.request({ maxUsdPerHour: fixture.tooLowUsdPerHour });
      await expect(fixture.provider.createPod(request, { signal })).rejects.toMatchObject({
        code: 'price_changed',
      });
      expect(await fixture.provider.listPods({ signal })).toEqual([]);
    });

    it('an offer that is not there is offer_gone, and rents nothing', async () => {
      await using fixture = await open();
      const { provider } = fixture;
      const offerId = fixture.request().offerId.replace(/:.*/, ':no-such-offer');
      const request = { ...fixture.request(), offerId } as PodRequest;
      await expect(provider.createPod(request, { signal })).rejects.toMatchObject({
        code: 'offer_gone',
      });
      expect(await provider.listPods({ signal })).toEqual([]);
    });

    it('8: an aborted signal ends any call within a second', async () => {
      await using fixture = await open();
      const { provider, unknownPodId } = fixture;
      const options = { signal: AbortSignal.abort() };
      const started = performance.now();
      const calls = [
        async () => provider.listOffers(ANY_OFFER, options),
        async () => provider.createPod(fixture.request(), options),
        async () => provider.getPod(unknownPodId, options),
        async () => provider.listPods(options),
        async () => provider.terminatePod(unknownPodId, options),
        async () => provider.checkAccount(options),
        async () => provider.power?.stopPod(unknownPodId, options) ?? Promise.reject(new Error()),
        async () => provider.power?.startPod(unknownPodId, options) ?? Promise.reject(new Error()),
      ];
      for (const call of calls) await expect(call()).rejects.toThrow();
      expect(performance.now() - started).toBeLessThan(1_000);
      expect(await provider.listPods({ signal })).toEqual([]);
    });

    lawOf(traits.hasKey, '9: the key appears in no result and no error', async () => {
      await using fixture = await open();
      const { provider, apiKey = '' } = fixture;
      expect(apiKey.length).toBeGreaterThan(8);
      const failure: unknown = await provider
        .createPod({ ...fixture.request(), maxUsdPerHour: -1 }, { signal })
        .catch((thrown: unknown) => thrown);
      if (!isAppError(failure)) throw new Error('A refusal must be a typed error.');
      const pod = await provider.createPod(fixture.request(), { signal });
      const told = [failure.code, failure.message, failure.hint, failure.foreignText];
      const account = await provider.checkAccount({ signal });
      const seen = [pod, await provider.getPod(pod.podId, { signal }), account, provider.facts];
      const text = JSON.stringify([...told, ...seen, await provider.listPods({ signal })]);
      expect(text).toContain(failure.code);
      expect(text).not.toContain(apiKey);
    });

    lawOf(traits.canStop, 'power keeps the pod and its id', async () => {
      await using fixture = await open();
      const { power } = fixture.provider;
      if (power === undefined) throw new Error('It says it can stop pods.');
      const { podId } = await fixture.provider.createPod(fixture.request(), { signal });
      await until(fixture, podId, isRunning);
      await power.stopPod(podId, { signal });
      const stopped = await until(fixture, podId, (pod) => pod?.status === 'stopped');
      expect(stopped?.endpoint).toBeUndefined();
      await power.startPod(podId, { signal });
      await until(fixture, podId, isRunning);
      await power.restartPod(podId, { signal });
      await until(fixture, podId, isRunning);
    });

    lawOf(traits.holdsDeadlines, 'a deadline that is moved up ends the pod by itself', async () => {
      await using fixture = await open();
      const { deadlines } = fixture.provider;
      if (deadlines === undefined) throw new Error('It says it holds deadlines.');
      const { podId } = await fixture.provider.createPod(fixture.request(), { signal });
      await until(fixture, podId, isRunning);
      await deadlines.setDeadline(podId, new Date().toISOString(), { signal });
      await until(fixture, podId, isGone);
    });
  });
}

export const unknownPodIdOf = (provider: string): PodId =>
  podIdSchema.parse(`${provider}:${randomToken(20)}`);
