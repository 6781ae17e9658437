import type { CallOptions } from '../../../core/call.ts';
import type { Machines } from '../../../core/machine.ts';
import type { PlatformFacts, Platforms } from '../../../core/platform.ts';
import type { Pod, Pods } from '../../../core/pods.ts';

/** The same pods, those of the user told with the way to them and what is known about the place they were rented from. */
export function withPlatforms<Some extends Pods>(
  pods: Some,
  platforms: Platforms,
  machines: Machines,
): Some {
  async function told(pod: Pod, options: CallOptions): Promise<Pod> {
    if (pod.mode !== 'user_managed') return pod;
    const facts = await platforms.of(pod.podId, { ...options, mayLook: pod.status === 'ready' });
    const way = await wayOf(pod, options);
    return { ...(facts === undefined ? pod : withFacts(pod, facts)), ...way };
  }
  /** A way that cannot be told hides nothing else of the pod. */
  async function wayOf({ podId }: Pod, options: CallOptions): Promise<Pick<Pod, 'endpoint'>> {
    const endpoint = await machines.endpoint(podId, options).catch(() => undefined);
    options.signal.throwIfAborted();
    if (endpoint === undefined) return {};
    const { host, port, user, route } = endpoint;
    return { endpoint: { host, port, user, route } };
  }

  return {
    ...pods,
    async get(podId, request, options) {
      const { pod, ...rest } = await pods.get(podId, request, options);
      return { pod: await told(pod, options), ...rest };
    },
  };
}

function withFacts(pod: Pod, { platform, paths, meterStop, warnings }: PlatformFacts): Pod {
  const { title, verified, dataFolder, scratchFolder, durableFolder, proxyHook } = platform;
  const known = {
    platform: title,
    verified,
    dataFolder,
    durableFolder,
    scratchFolder,
    proxyOn: proxyHook?.on,
    proxyOff: proxyHook?.off,
    proxyFor: proxyHook?.onlyFor,
  };
  return {
    ...pod,
    advertised: Object.fromEntries(
      Object.entries(known).flatMap(([name, value]) =>
        value === undefined ? [] : [[name, value]],
      ),
    ),
    dangerClocks: [meterStop, ...warnings],
    ...(paths.length === 0 ? {} : { paths: paths.map((path) => ({ ...path })) }),
  };
}
