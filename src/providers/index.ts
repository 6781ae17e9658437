import { isLoopback } from '../core/loopback.ts';
import type { Provider, Providers } from '../core/provider.ts';
import { createLambdaProvider, type LambdaProviderDeps } from './lambda/provider.ts';
import { createLocalProvider, type LocalProviderDeps } from './local/provider.ts';
import { createRunpodProvider, type RunpodProviderDeps } from './runpod/provider.ts';
import { createVastProvider, type VastProviderDeps } from './vast/provider.ts';

export interface ProvidersDeps extends LocalProviderDeps {
  readonly ownPublicKey: VastProviderDeps['ownPublicKey'];
  /** Absent: there is no key, so the cloud is off. */
  readonly vast?: Pick<VastProviderDeps, 'apiKey' | 'baseUrl'> | undefined;
  readonly runpod?: Omit<RunpodProviderDeps, 'clock' | 'ownPublicKey'> | undefined;
  readonly lambda?: Pick<LambdaProviderDeps, 'apiKey' | 'baseUrl'> | undefined;
}

/** The clouds that are configured. Local pods always are. */
export function createProviders(deps: ProvidersDeps): Providers {
  const { vast, runpod, lambda, clock, ownPublicKey } = deps;
  const configured: readonly Provider[] = [
    createLocalProvider(deps),
    ...(vast === undefined
      ? []
      : [seenAt(vast.baseUrl, createVastProvider({ ...vast, clock, ownPublicKey }))]),
    ...(runpod === undefined
      ? []
      : [seenAt(runpod.graphqlUrl, createRunpodProvider({ ...runpod, clock, ownPublicKey }))]),
    ...(lambda === undefined
      ? []
      : [seenAt(lambda.baseUrl, createLambdaProvider({ ...lambda, clock, ownPublicKey }))]),
  ];
  return new Map(configured.map((provider) => [provider.name, provider]));
}

/** What answers from this machine is a rehearsal, whatever it says of money. */
function seenAt(url: string, provider: Provider): Provider {
  return isLoopback(url) ? { ...provider, isMadeUp: true } : provider;
}
