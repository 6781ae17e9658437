import type { Provider, Providers } from '../core/provider.ts';
import { createLocalProvider, type LocalProviderDeps } from './local/provider.ts';
import { createVastProvider, type VastProviderDeps } from './vast/provider.ts';

export interface ProvidersDeps extends LocalProviderDeps {
  readonly ownPublicKey: VastProviderDeps['ownPublicKey'];
  /** Absent: there is no key, so the cloud is off. */
  readonly vast?: Pick<VastProviderDeps, 'apiKey' | 'baseUrl'> | undefined;
}

/** The clouds that are configured. Local pods always are. */
export function createProviders(deps: ProvidersDeps): Providers {
  const { vast, clock, ownPublicKey } = deps;
  const configured: readonly Provider[] = [
    createLocalProvider(deps),
    ...(vast === undefined ? [] : [createVastProvider({ ...vast, clock, ownPublicKey })]),
  ];
  return new Map(configured.map((provider) => [provider.name, provider]));
}
