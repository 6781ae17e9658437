import { execFile } from 'node:child_process';
import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import { expandHome } from './key-file.ts';

export interface AliasRoute {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** In the order in which ssh would try them; they may not exist. */
  readonly keyPaths: readonly string[];
}

/** Asks the ssh of this machine what an alias of ~/.ssh/config stands for. Opens no connection. */
export async function resolveAlias(
  alias: string,
  options: CallOptions & { readonly configFile?: string | undefined },
): Promise<AliasRoute> {
  const { configFile } = options;
  const args = [...(configFile === undefined ? [] : ['-F', configFile]), '-G', '--', alias];
  const signal = AbortSignal.any([options.signal]);
  const text = await new Promise<string | undefined>((resolve) => {
    execFile('ssh', args, { signal, timeout: 10_000 }, (error, stdout) => {
      resolve(error === null ? stdout : undefined);
    });
  });
  options.signal.throwIfAborted();
  if (text === undefined)
    throw new InputError('unsupported', 'The alias cannot be resolved on this machine.', {
      hint: 'Save the profile with host, port and user instead of an alias.',
    });
  return parseResolved(text);
}

/** Reads the output of `ssh -G`. Pure. */
export function parseResolved(text: string): AliasRoute {
  const lines = text.split('\n').map((line) => {
    const split = line.indexOf(' ');
    return [line.slice(0, split).toLowerCase(), line.slice(split + 1).trim()] as const;
  });
  const valueOf = (name: string): string | undefined => lines.find(([key]) => key === name)?.[1];
  for (const name of ['proxyjump', 'proxycommand'])
    if ((valueOf(name) ?? 'none') !== 'none')
      throw new InputError('unsupported', 'This alias goes through another machine.', {
        hint: 'Only direct connections are supported: save a profile with host and port.',
      });
  const host = valueOf('hostname');
  const user = valueOf('user');
  const port = Number(valueOf('port'));
  if (host === undefined || user === undefined || !Number.isInteger(port) || port < 1)
    throw new InputError('unsupported', 'The alias cannot be resolved on this machine.', {
      hint: 'Save the profile with host, port and user instead of an alias.',
    });
  const keyPaths = lines.filter(([key]) => key === 'identityfile').map(([, file]) => file);
  return { host, port, user, keyPaths: keyPaths.map((file) => expandHome(file)) };
}
