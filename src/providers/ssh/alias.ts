import { lookup } from 'node:dns/promises';
import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import { readSshConfig } from './ssh-config.ts';

const LOOKUP_SECONDS = 3;

/**
 * Refuses the name of a machine that neither the person's ssh configuration nor the name service knows: `invalid_input`. What
 * cannot be told now (no ssh program, no network) is left to the test of the profile.
 */
export async function checkAlias(
  name: string,
  options: CallOptions & { readonly configFile?: string | undefined },
): Promise<void> {
  const config = await readSshConfig({ name }, options).catch(() => undefined);
  options.signal.throwIfAborted();
  if (config?.host.toLowerCase() !== name.toLowerCase()) return;
  if (config.proxyJump !== undefined || config.proxyCommand !== undefined) return;
  if (!(await isUnknown(name))) return;
  throw new InputError(
    'invalid_input',
    'sshCommand names a machine that is no alias of ~/.ssh/config and no known host name.',
    { hint: 'Ask the user: correct the name, or pass host, port and user.' },
  );
}

async function isUnknown(name: string): Promise<boolean> {
  const limit = AbortSignal.timeout(LOOKUP_SECONDS * 1000);
  const late = new Promise<boolean>((resolve) => {
    limit.addEventListener('abort', () => {
      resolve(false);
    });
  });
  const found = lookup(name).then(
    () => false,
    (failure: unknown) =>
      failure instanceof Error && 'code' in failure && failure.code === 'ENOTFOUND',
  );
  return Promise.race([found, late]);
}
