import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import { createProviders, type ProvidersDeps } from '../../../src/providers/index.ts';
import { ManualClock } from '../../support/clock.ts';

it('every cloud at an address of this machine is a rehearsal, and no other', async () => {
  const home = await mkdtemp(path.join(tmpdir(), 'made-up-'));
  try {
    const at = (url: string) => {
      const deps: Partial<ProvidersDeps> = {
        clock: new ManualClock(),
        home,
        ownPublicKey: async () => Promise.resolve(''),
        vast: { apiKey: 'a', baseUrl: url },
        lambda: { apiKey: 'a', baseUrl: url },
        runpod: {
          apiKey: 'a',
          graphqlUrl: `${url}/graphql`,
          restUrl: url,
          oldRestUrl: url,
          defaultTemplate: undefined,
          hasGateway: true,
          sshUser: undefined,
        },
      };
      const made = [...createProviders(deps as ProvidersDeps).values()];
      return Object.fromEntries(made.map(({ name, isMadeUp }) => [name, isMadeUp]));
    };
    const none = { local: undefined, vast: undefined, runpod: undefined, lambda: undefined };
    expect(at('http://127.0.0.1:8123')).toEqual({
      ...none,
      vast: true,
      runpod: true,
      lambda: true,
    });
    expect(at('https://cloud.example.com')).toEqual(none);
  } finally {
    await rm(home, { recursive: true, force: true });
  }
});
