import { systemClock } from '../../src/core/call.ts';
import { offerIdSchema, podIdSchema, randomToken } from '../../src/core/ids.ts';
import { createFakeProvider } from '../support/fake-provider.ts';
import { describeProvider } from './provider-contract.ts';

/** What the tests of leases stand on must itself obey the laws. */
const TRAITS = { isRemote: true, hasKey: true, canStop: true, holdsDeadlines: true };

describeProvider('the fake cloud', TRAITS, async () => {
  const apiKey = `vast-${randomToken()}`;
  const provider = createFakeProvider({
    clock: systemClock,
    bootSeconds: 0,
    canStop: true,
    apiKey,
  });
  return Promise.resolve({
    provider,
    unknownPodId: podIdSchema.parse('vast:nobody'),
    tooLowUsdPerHour: 0.1,
    apiKey,
    loseNextAnswer: () => {
      provider.faults.lostButFound = 1;
    },
    loseNextRequest: () => {
      provider.faults.loseRequests = 1;
    },
    failAfterMachine: () => {
      provider.faults.failAndRemove = 1;
    },
    request: (changes = {}) => ({
      offerId: offerIdSchema.parse('vast:a'),
      label: `gl-${randomToken()}`,
      diskGb: 10,
      sshPublicKey: 'ssh-ed25519 AAAA',
      maxUsdPerHour: 1,
      deadlineAt: new Date(systemClock.now().getTime() + 3_600_000).toISOString(),
      onExpiry: 'destroy' as const,
      env: {},
      ports: [],
      ...changes,
    }),
    [Symbol.asyncDispose]: async () => Promise.resolve(),
  });
});
