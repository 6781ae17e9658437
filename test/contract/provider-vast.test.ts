import { systemClock } from '../../src/core/call.ts';
import { randomToken } from '../../src/core/ids.ts';
import { createVastProvider } from '../../src/providers/vast/provider.ts';
import { startVastSandbox } from '../support/vast-sandbox.ts';
import { ANY_OFFER, describeProvider, unknownPodIdOf } from './provider-contract.ts';

const TRAITS = { isRemote: true, hasKey: true, canStop: true, holdsDeadlines: false };
const PUBLIC_KEY = `ssh-ed25519 ${'A'.repeat(68)} test`;
const CREATE = 'PUT /api/v0/asks';

describeProvider('vast', TRAITS, async () => {
  const sandbox = await startVastSandbox({ machines: 'none', speed: 120, offers: 30 });
  const provider = createVastProvider({
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
    unknownPodId: unknownPodIdOf('vast'),
    tooLowUsdPerHour: offer.usdPerHour / 2,
    request: (changes = {}) => ({
      offerId: offer.offerId,
      label: `gl-${randomToken()}`,
      diskGb: 10,
      sshPublicKey: PUBLIC_KEY,
      maxUsdPerHour: offer.usdPerHour * 1.5,
      deadlineAt: new Date(systemClock.now().getTime() + 3_600_000).toISOString(),
      onExpiry: 'destroy' as const,
      image: 'pytorch/pytorch:latest',
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
      sandbox.faults.add({ kind: 'create-failed-with-contract', times: 1 });
    },
    [Symbol.asyncDispose]: async () => sandbox[Symbol.asyncDispose](),
  };
});
