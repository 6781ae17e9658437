import { ConfigError, InputError, isAppError, RemoteError } from '../../core/errors.ts';
import { type PodId, providerOf } from '../../core/ids.ts';
import type { EndpointOptions, Machines, SshEndpoint } from '../../core/machine.ts';
import type { Providers } from '../../core/provider.ts';

/** The way, with the cloud's own port list where it was read from one (foreign text). */
export type CloudWay = SshEndpoint & { readonly portMappings?: readonly string[] | undefined };
export interface CloudPods {
  endpoint(podId: PodId, options: EndpointOptions): Promise<CloudWay>;
}

/**
 * Where a cloud says that its pod is reached, for profiles that name one (PR-09): a pod of ours by its lease, one that the
 * person made by the cloud itself. Throws `config_missing` without a key for that cloud, `not_found` for a pod that the
 * account does not have, `pod_not_ready` while it has no public SSH port.
 */
export function createCloudPods(providers: Providers, managed: Machines): CloudPods {
  return {
    async endpoint(podId, options) {
      try {
        return await managed.endpoint(podId, options);
      } catch (failure) {
        if (!isAppError(failure) || failure.code !== 'not_found') throw failure;
      }
      const name = providerOf(podId);
      const provider = providers.get(name);
      if (provider === undefined)
        throw new ConfigError('config_missing', `There is no API key for ${name}.`);
      const pod = await provider.getPod(podId, options);
      if (pod === undefined)
        throw new InputError('not_found', `The account at ${name} has no pod of that id.`, {
          hint: 'Check the id, and whether the API key belongs to the account that owns the pod.',
        });
      if (pod.endpoint === undefined)
        throw new RemoteError('pod_not_ready', 'This pod has no public SSH port now.', {
          hint: 'It must run and publish 22/tcp. Start it in the console of the cloud, then call again.',
        });
      return { ...pod.endpoint, portMappings: pod.portMappings };
    },
  };
}
