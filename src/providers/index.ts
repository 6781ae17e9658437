import type { Provider, Providers } from '../core/provider.ts';
import { createLocalProvider, type LocalProviderDeps } from './local/provider.ts';

export type ProvidersDeps = LocalProviderDeps;

/** The clouds that are configured. Local pods always are. */
export function createProviders(deps: ProvidersDeps): Providers {
  const configured: readonly Provider[] = [createLocalProvider(deps)];
  return new Map(configured.map((provider) => [provider.name, provider]));
}
