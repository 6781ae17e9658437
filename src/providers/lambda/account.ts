import { createHash } from 'node:crypto';
import type { CallOptions } from '../../core/call.ts';
import { isAppError } from '../../core/errors.ts';
import type { AccountCheck, AccountKeys } from '../../core/provider.ts';
import { checkedKey, hasKey } from '../public-key.ts';
import type { LambdaApi } from './api.ts';
import { KEY_NAME } from './failure.ts';

export interface AccountDeps {
  readonly api: LambdaApi;
  /** Our public key, as one line; `undefined` while there is none. Makes nothing. */
  readonly ownPublicKey: (options: CallOptions) => Promise<string | undefined>;
}

/** Whether the key works and ours is on the account. Lambda tells no balance. A key that is not accepted throws `auth_rejected`. */
export async function checkAccount(
  { api, ownPublicKey }: AccountDeps,
  options: CallOptions,
): Promise<AccountCheck> {
  options.signal.throwIfAborted();
  const known = (await api.sshKeys(options)).map(({ public_key: line }) => line);
  const own = await ownPublicKey(options);
  return {
    keySource: KEY_NAME,
    reachable: true,
    sshKeyRegistered: own !== undefined && hasKey(known, own),
  };
}

/** Keys are named on the account, and a launch takes one by its name. Machines that run keep the keys they were launched with. */
export function createKeys(api: LambdaApi): AccountKeys {
  return {
    async registerKey(publicKey, options) {
      await nameOfKey(api, publicKey, options);
    },
  };
}

/**
 * The name under which the key is on the account; it is added where it is not. The blob is compared, not the comment. Where two
 * keys share a name a launch could take the other, so that name is not used.
 */
export async function nameOfKey(
  api: LambdaApi,
  publicKey: string,
  options: CallOptions,
): Promise<string> {
  options.signal.throwIfAborted();
  const line = checkedKey(publicKey);
  const find = async (): Promise<string | undefined> => {
    const keys = await api.sshKeys(options);
    const isAlone = (name: string): boolean =>
      keys.every((key) => key.name !== name || hasKey([key.public_key], line));
    return keys.find((key) => hasKey([key.public_key], line) && isAlone(key.name))?.name;
  };
  const known = await find();
  if (known !== undefined) return known;
  try {
    return (await api.addSshKey(freshName(line), line, options)).name;
  } catch (failure) {
    options.signal.throwIfAborted();
    if (!isAppError(failure)) throw failure;
    // The answer may be lost, or somebody was faster.
    const added = await find();
    if (added === undefined) throw failure;
    return added;
  }
}

/** The same key gets the same name, another key another. */
function freshName(line: string): string {
  const [, blob = ''] = line.split(/\s+/);
  return `gpu-lease-${createHash('sha256').update(blob).digest('hex').slice(0, 16)}`;
}
