import type { CallOptions } from '../../core/call.ts';
import type { AccountCheck, AccountKeys } from '../../core/provider.ts';
import { checkedKey, hasKey } from '../public-key.ts';
import type { AccountApi } from './account-api.ts';
import { KEY_NAME } from './failure.ts';

export interface AccountDeps {
  readonly api: AccountApi;
  /** Our public key, as one line; `undefined` while there is none. Makes nothing. */
  readonly ownPublicKey: (options: CallOptions) => Promise<string | undefined>;
}

/** Balance and whether our SSH key is on the account. A key that is not accepted throws `auth_rejected`. */
export async function checkAccount(
  { api, ownPublicKey }: AccountDeps,
  options: CallOptions,
): Promise<AccountCheck> {
  options.signal.throwIfAborted();
  const [balanceUsd, keys, own] = await Promise.all([
    api.balanceUsd(options),
    api.accountKeys(options),
    ownPublicKey(options),
  ]);
  const problem =
    balanceUsd === undefined
      ? 'RunPod did not tell the balance of the account.'
      : balanceUsd <= 0
        ? 'The account has no balance: nothing can be rented, and pods without a network volume are deleted.'
        : undefined;
  return {
    keySource: KEY_NAME,
    reachable: true,
    sshKeyRegistered: own !== undefined && hasKey(keys, own),
    ...(balanceUsd === undefined ? {} : { balanceUsd }),
    ...(problem === undefined ? {} : { problem }),
  };
}

/** RunPod takes all keys at once: ours is put behind those that are there, and none of theirs is changed. */
export function createKeys(api: AccountApi): AccountKeys {
  return {
    async registerKey(publicKey, options) {
      options.signal.throwIfAborted();
      const line = checkedKey(publicKey);
      const keys = await api.accountKeys(options);
      if (!hasKey(keys, line)) await api.saveAccountKeys([...keys, line], options);
    },
  };
}
