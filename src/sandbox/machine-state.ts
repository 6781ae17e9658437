import type { Clock } from '../core/call.ts';
import type { PodId } from '../core/ids.ts';
import { poll } from '../core/poll.ts';
import type { Provider, ProviderPod } from '../core/provider.ts';
import type { MachineState } from './machines.ts';

const GONE_LIMIT_SECONDS = 60;

/** Waits until the provider sees none of them. Throws when some are left. */
export async function untilGone(
  podIds: readonly PodId[],
  pods: Provider,
  clock: Clock,
): Promise<void> {
  const { signal } = new AbortController();
  const gone = await poll(
    async () => {
      const found = await Promise.all(podIds.map(async (podId) => pods.getPod(podId, { signal })));
      return found.every((pod) => pod === undefined) ? true : undefined;
    },
    { clock, signal, timeoutSeconds: GONE_LIMIT_SECONDS, everySeconds: 0.1 },
  );
  if (gone === undefined) throw new Error('Some machines of the sandbox did not end.');
}

/** What a pod is for the cloud around it. `pending`: orders that are not done. Pure. */
export function stateOf(
  pod: ProviderPod | undefined,
  { wanted, pending }: { readonly wanted: 'run' | 'stop'; readonly pending: number },
): MachineState {
  if (pod === undefined) return { status: 'gone' };
  const { endpoint, status } = pod;
  if (wanted === 'stop') {
    const hasEnded = pending === 0 && (status === 'stopped' || status === 'failed');
    return { status: hasEnded ? 'stopped' : 'running' };
  }
  if (pending > 0 || status === 'stopped') return { status: 'starting' };
  if (status === 'failed') return { status: 'failed' };
  if (status !== 'running' || endpoint === undefined) return { status: 'starting' };
  return { status: 'running', host: endpoint.host, port: endpoint.port };
}
