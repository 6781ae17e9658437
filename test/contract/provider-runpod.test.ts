import { systemClock } from '../../src/core/call.ts';
import { randomToken } from '../../src/core/ids.ts';
import { createRunpodProvider } from '../../src/providers/runpod/provider.ts';
import { startRunpodSandbox } from '../support/runpod-sandbox.ts';
import { ANY_OFFER, describeProvider, unknownPodIdOf } from './provider-contract.ts';

const TRAITS = { isRemote: true, hasKey: true, canStop: true, holdsDeadlines: false };
const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} test`;
const CREATE = 'POST /graphql podFindAndDeployOnDemand';

describeProvider('runpod', TRAITS, async () => {
  const sandbox = await startRunpodSandbox({
    machines: 'none',
    // Nothing happens between two calls, however slow the machine of this test is.
    speed: 0,
    offers: 60,
    // Between its first sign of life and its address a pod runs all the same; the law looks at the first running one.
    runpod: { portSeconds: 0 },
  });
  const provider = createRunpodProvider({
    apiKey: sandbox.apiKey,
    graphqlUrl: sandbox.graphqlUrl,
    restUrl: sandbox.restV2Url,
    // In the time of the cloud: which container is new follows from how long it has run.
    clock: {
      now: () => new Date(sandbox.clock.nowSeconds() * 1000),
      async sleep(seconds, call) {
        call.signal.throwIfAborted();
        await sandbox.clock.advance(seconds);
      },
    },
    ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
  });
  const [offer] = await provider.listOffers(ANY_OFFER, { signal: new AbortController().signal });
  if (offer === undefined) throw new Error('The sandbox has no offer.');
  return {
    provider,
    apiKey: sandbox.apiKey,
    unknownPodId: unknownPodIdOf('runpod'),
    tooLowUsdPerHour: offer.usdPerHour / 2,
    request: (changes = {}) => ({
      offerId: offer.offerId,
      label: `gl-${randomToken()}`,
      diskGb: 10,
      sshPublicKey: PUBLIC_KEY,
      maxUsdPerHour: offer.usdPerHour * 1.5,
      deadlineAt: new Date(systemClock.now().getTime() + 3_600_000).toISOString(),
      onExpiry: 'destroy' as const,
      env: {},
      ports: [],
      ...changes,
    }),
    loseNextAnswer: () => {
      sandbox.faults.add({ kind: 'drop-after', route: CREATE, times: 1 });
    },
    loseNextRequest: () => {
      sandbox.faults.add({ kind: 'drop-before', route: CREATE, times: 1 });
    },
    failAfterMachine: () => {
      sandbox.faults.add({ kind: 'done-but-500', route: CREATE, times: 1 });
    },
    pass: async (seconds) => sandbox.clock.advance(seconds),
    [Symbol.asyncDispose]: async () => sandbox[Symbol.asyncDispose](),
  };
});
