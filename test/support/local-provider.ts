import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { systemClock } from '../../src/core/call.ts';
import { offerIdSchema, randomToken } from '../../src/core/ids.ts';
import { poll } from '../../src/core/poll.ts';
import type { PodRequest, Provider } from '../../src/core/provider.ts';
import { createLocalProvider } from '../../src/providers/local/provider.ts';
import { makeClientKey } from './embedded-pod.ts';
import { podProgram } from './pod-program.ts';

export interface LocalProviderFixture extends AsyncDisposable {
  readonly provider: Provider;
  readonly home: string;
  readonly keyPath: string;
  readonly podProgram: readonly string[];
  request(changes?: Partial<PodRequest>): PodRequest;
}

/** The real local provider in a home of its own. Dispose ends every pod it made and waits until they are gone. */
export async function openLocalProvider(
  program?: readonly string[],
): Promise<LocalProviderFixture> {
  const home = await mkdtemp(path.join(tmpdir(), 'gpu-lease-home-'));
  const keyPath = path.join(home, 'client_key');
  const sshPublicKey = await makeClientKey(keyPath);
  const podProgramArgv = program ?? (await podProgram());
  const provider = createLocalProvider({ home, podProgram: podProgramArgv, clock: systemClock });
  const { signal } = new AbortController();
  return {
    provider,
    home,
    keyPath,
    podProgram: podProgramArgv,
    request: (changes = {}) => ({
      offerId: offerIdSchema.parse('local:cpu'),
      label: `gl-test-${randomToken(12)}`,
      diskGb: 1,
      sshPublicKey,
      maxUsdPerHour: 0,
      deadlineAt: new Date(Date.now() + 3_600_000).toISOString(),
      onExpiry: 'destroy',
      env: {},
      ports: [],
      ...changes,
    }),
    async [Symbol.asyncDispose]() {
      for (const { podId } of await provider.listPods({ signal }))
        await provider.terminatePod(podId, { signal });
      const empty = await poll(
        async () => ((await provider.listPods({ signal })).length === 0 ? true : undefined),
        { clock: systemClock, signal, timeoutSeconds: 30, everySeconds: 0.05 },
      );
      if (!empty) throw new Error('Pods are left behind.');
      await rm(home, { recursive: true, force: true });
    },
  };
}
