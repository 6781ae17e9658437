import type { CallOptions } from '../../../core/call.ts';
import type { PlatformFacts, Platforms } from '../../../core/platform.ts';
import type { Pod, Pods } from '../../../core/pods.ts';

/** The same pods, those of the user told with what is known about the place they were rented from. */
export function withPlatforms<Some extends Pods>(pods: Some, platforms: Platforms): Some {
  async function told(pod: Pod, options: CallOptions): Promise<Pod> {
    if (pod.mode !== 'user_managed') return pod;
    const facts = await platforms.of(pod.podId, { ...options, mayLook: pod.status === 'ready' });
    return facts === undefined ? pod : withFacts(pod, facts);
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
