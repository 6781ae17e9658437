import type { CallOptions } from '../../core/call.ts';
import { isAppError } from '../../core/errors.ts';
import type { AccountCheck, AccountKeys } from '../../core/provider.ts';
import { checkedKey, hasKey } from '../public-key.ts';
import type { VastApi } from './api.ts';
import { KEY_NAME } from './failure.ts';
import { contractOf } from './power.ts';

export interface AccountDeps {
  readonly api: VastApi;
  /** Another address is another cloud, whatever the number of the account. */
  readonly baseUrl: string;
  /** Our public key, as one line; `undefined` while there is none. Makes nothing. */
  readonly ownPublicKey: (options: CallOptions) => Promise<string | undefined>;
}

/** Credit and whether our SSH key is on the account. A key that is not accepted throws `auth_rejected`. */
export async function checkAccount(
  { api, baseUrl, ownPublicKey }: AccountDeps,
  options: CallOptions,
): Promise<AccountCheck> {
  options.signal.throwIfAborted();
  const user = await api.user(options);
  const balanceUsd = user.credit ?? undefined;
  const known = await api.accountKeys(options);
  const own = await ownPublicKey(options);
  const problems = [
    ...(balanceUsd === undefined ? ['Vast.ai did not tell the credit of the account.'] : []),
    ...(balanceUsd !== undefined && balanceUsd <= 0
      ? ['The account has no credit: nothing can be rented, and its pods are stopped.']
      : []),
  ];
  return {
    keySource: KEY_NAME,
    reachable: true,
    account: accountOf(baseUrl, user.id ?? undefined),
    sshKeyRegistered: own !== undefined && hasKey(known, own),
    ...(balanceUsd === undefined ? {} : { balanceUsd }),
    ...(problems.length === 0 ? {} : { problem: problems.join(' ') }),
  };
}

/** One cloud under several names. */
const OWN_HOSTS = new Set(['console.vast.ai', 'cloud.vast.ai', 'vast.ai']);

/** "console.vast.ai/123456". */
function accountOf(baseUrl: string, id: number | undefined): string {
  const { host } = new URL(baseUrl);
  const cloud = OWN_HOSTS.has(host) ? 'console.vast.ai' : host;
  return id === undefined ? cloud : `${cloud}/${id}`;
}

export function createKeys(api: VastApi): AccountKeys {
  return {
    async registerKey(publicKey, options) {
      options.signal.throwIfAborted();
      const line = checkedKey(publicKey);
      if (!hasKey(await api.accountKeys(options), line)) await api.addAccountKey(line, options);
    },
    async attachKey(podId, publicKey, options) {
      options.signal.throwIfAborted();
      try {
        await api.addPodKey(contractOf(podId), checkedKey(publicKey), options);
      } catch (failure) {
        // Attaching twice is no failure.
        if (!isAppError(failure) || !/already|exists/i.test(failure.foreignText ?? ''))
          throw failure;
      }
    },
  };
}
