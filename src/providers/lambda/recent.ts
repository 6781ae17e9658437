import type { Clock } from '../../core/call.ts';
import type { ProviderPod } from '../../core/provider.ts';

/** How long Lambda may not know a machine that it has just launched. Too short a time takes a machine that is charged for gone. */
const UNKNOWN_SECONDS = 90;
const MAX_KEPT = 200;

/** What was launched a moment ago: a new id may be answered with 404 at first, which says nothing. */
export interface Launches {
  remember(instanceId: string, pod: ProviderPod): void;
  /** As `remember`, for what another process launched at this time, in milliseconds since the epoch. What is known stays. */
  recall(instanceId: string, pod: ProviderPod, launchedAt: number): void;
  /** The pod as it was launched, while not being known means nothing. */
  young(instanceId: string): ProviderPod | undefined;
  /** The id that carries this label, however long ago. */
  idOf(label: string): string | undefined;
  /** It was seen, or ordered to end: from now on 404 means gone. */
  settle(instanceId: string): void;
}

export function createLaunches(clock: Clock): Launches {
  const launches = new Map<string, { readonly pod: ProviderPod; readonly at: number }>();
  const settled = new Set<string>();
  const seconds = (): number => clock.now().getTime() / 1000;
  const isYoung = (at: number): boolean => Math.abs(seconds() - at) < UNKNOWN_SECONDS;
  const keep = (instanceId: string, pod: ProviderPod, at: number): void => {
    for (const oldest of [...launches.keys()].slice(0, launches.size - MAX_KEPT)) {
      launches.delete(oldest);
      settled.delete(oldest);
    }
    launches.set(instanceId, { pod, at });
  };
  return {
    remember(instanceId, pod) {
      keep(instanceId, pod, seconds());
    },
    recall(instanceId, pod, launchedAt) {
      if (!launches.has(instanceId) && isYoung(launchedAt / 1000))
        keep(instanceId, pod, launchedAt / 1000);
    },
    young(instanceId) {
      const launch = launches.get(instanceId);
      if (launch === undefined || settled.has(instanceId)) return undefined;
      return isYoung(launch.at) ? launch.pod : undefined;
    },
    idOf: (label) => [...launches].find(([, { pod }]) => pod.label === label)?.[0],
    settle(instanceId) {
      if (launches.has(instanceId)) settled.add(instanceId);
    },
  };
}
