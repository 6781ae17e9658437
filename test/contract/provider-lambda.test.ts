import { systemClock } from '../../src/core/call.ts';
import { randomToken } from '../../src/core/ids.ts';
import { createLambdaProvider } from '../../src/providers/lambda/provider.ts';
import { startLambdaSandbox } from '../support/lambda-sandbox.ts';
import { ANY_OFFER, describeProvider, unknownPodIdOf } from './provider-contract.ts';

const TRAITS = { isRemote: true, hasKey: true, canStop: false, holdsDeadlines: false };
const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} test`;
const LAUNCH = 'POST /api/v1/instance-operations/launch';

describeProvider('lambda', TRAITS, async () => {
  const sandbox = await startLambdaSandbox({
    machines: 'none',
    speed: 60,
    lambda: { bootSeconds: 10 },
  });
  const provider = createLambdaProvider({
    apiKey: sandbox.apiKey,
    baseUrl: sandbox.url,
    clock: systemClock,
    ownPublicKey: async () => Promise.resolve(PUBLIC_KEY),
  });
  const [offer] = await provider.listOffers(ANY_OFFER, { signal: new AbortController().signal });
  if (offer === undefined) throw new Error('The sandbox has no offer.');
  return {
    provider,
    apiKey: sandbox.apiKey,
    unknownPodId: unknownPodIdOf('lambda'),
    tooLowUsdPerHour: offer.usdPerHour / 2,
    request: (changes = {}) => ({
      offerId: offer.offerId,
      label: `gl-${randomToken()}`,
      diskGb: 10,
      sshPublicKey: PUBLIC_KEY,
      maxUsdPerHour: offer.usdPerHour,
      deadlineAt: new Date(systemClock.now().getTime() + 3_600_000).toISOString(),
      onExpiry: 'destroy' as const,
      env: {},
      ports: [],
      ...changes,
    }),
    loseNextAnswer: () => {
      sandbox.faults.add({ kind: 'drop-after', route: LAUNCH, times: 1 });
    },
    loseNextRequest: () => {
      sandbox.faults.add({ kind: 'drop-before', route: LAUNCH, times: 1 });
    },
    failAfterMachine: () => {
      sandbox.faults.add({ kind: 'launch-fails-with-instance', times: 1 });
    },
    [Symbol.asyncDispose]: async () => sandbox[Symbol.asyncDispose](),
  };
});
