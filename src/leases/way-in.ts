import type { Clock } from '../core/call.ts';
import type { Lease } from '../core/lease.ts';
import type { Probe, Reach, SshEndpoint } from '../core/machine.ts';
import type { ProviderPod } from '../core/provider.ts';
import { limitOf } from './deps.ts';
import { rungAt } from './rungs.ts';

/** How long the direct way may fail before the detour is tried. */
const DIRECT_PATIENCE_SECONDS = 30;
const CONNECT_SECONDS = 2;
const BANNER_SECONDS = 5;

export interface Way {
  readonly endpoint: SshEndpoint;
  readonly reach: Reach;
}

/** The way to `pod` that its lease has settled on, as the cloud gives it now. The direct one where none was chosen. */
export function chosenWay(lease: Lease, pod: ProviderPod): SshEndpoint | undefined {
  const isDetour = lease.endpoint?.route === 'proxy' && pod.fallback?.shellOnly !== true;
  return isDetour ? (pod.fallback ?? pod.endpoint) : pod.endpoint;
}

/**
 * Finds a way in: the direct one while it lets us or has not failed for long, else the detour, where a server answers there.
 * `undefined`: the cloud tells no way that may be tried yet.
 */
export async function wayInto(
  lease: Lease,
  pod: ProviderPod,
  { probe, clock }: { readonly probe: Probe; readonly clock: Clock },
): Promise<Way | undefined> {
  const reachOf = async (endpoint: SshEndpoint): Promise<Way> => {
    const limits = { connectSeconds: CONNECT_SECONDS, bannerSeconds: BANNER_SECONDS };
    const signal = limitOf(CONNECT_SECONDS + BANNER_SECONDS + 1);
    // What dribbles on for longer than all limits is nobody we want to talk to.
    const reach = await probe.reach(endpoint, { ...limits, signal }).catch(() => 'open' as const);
    return { endpoint, reach };
  };
  const now = clock.now().getTime();
  const isOver = (since: number | undefined): boolean =>
    since !== undefined && now - since >= DIRECT_PATIENCE_SECONDS * 1000;
  const isDenied = lease.deniedSince !== undefined && isOver(Date.parse(lease.deniedSince));
  const isDetour = pod.endpoint?.route === 'proxy';
  const endpoint = isDetour ? undefined : pod.endpoint;
  const detourOf = pod.fallback ?? (isDetour ? pod.endpoint : undefined);
  // What no command of ours can pass tells nothing of the pod.
  const fallback = detourOf?.shellOnly === true ? undefined : detourOf;
  const direct = endpoint === undefined ? undefined : await reachOf(endpoint);
  if (direct?.reach === 'ssh' && !isDenied) return direct;
  // A direct way may come a little after the pod runs, where one was sold.
  const mayWait = endpoint !== undefined || lease.offer.directSsh !== false;
  if (fallback === undefined || (mayWait && !isDenied && !isOver(rungAt(lease, 'running'))))
    return direct;
  const detour = await reachOf(fallback);
  return detour.reach === 'ssh' ? detour : direct;
}
