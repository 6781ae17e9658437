import type { CallOptions } from '../core/call.ts';
import { isAppError, ProviderError } from '../core/errors.ts';
import type { Terms } from '../core/lease.ts';
import type { Secrets, SshIdentity } from '../core/machine.ts';
import type { Provider } from '../core/provider.ts';
import { registryLoginOf } from './registry.ts';
import { given, type Supplies } from './request.ts';
import { secretValues } from './terms.ts';

/** Reads what the order needs. Throws `config_missing` that names the variable, or what the key pair throws. */
export async function suppliesFor(
  terms: Terms,
  { identity, secrets }: { readonly identity: SshIdentity; readonly secrets: Secrets },
  options: CallOptions,
): Promise<Supplies> {
  const registryAuth = given(terms.registryAuth);
  return {
    sshPublicKey: await identity.publicKey(options),
    secretEnv: secretValues(terms, secrets),
    registryLogin: registryAuth === undefined ? undefined : registryLoginOf(registryAuth, secrets),
  };
}

/**
 * Puts our key on the account where keys are registered there, before the order: keys added later do not reach machines that exist
 * (KE-04). Call it after the approval and before the intent. Throws what the provider throws; then nothing is rented.
 */
export async function ensureKey(
  provider: Provider | undefined,
  publicKey: string,
  options: CallOptions,
): Promise<void> {
  if (provider?.keys === undefined) return;
  try {
    await provider.keys.registerKey(publicKey, options);
  } catch (failure) {
    options.signal.throwIfAborted();
    if (isAppError(failure)) throw failure;
    throw new ProviderError(
      'provider_unavailable',
      `Our SSH key could not be added to the ${provider.name} account. Nothing is rented.`,
      { cause: failure, hint: 'Call doctor with fix "register_ssh_key".' },
    );
  }
}
