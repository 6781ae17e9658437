import { z } from 'zod';
import { ConfigError, InputError } from '../core/errors.ts';
import type { Secrets } from '../core/machine.ts';
import type { RegistryLogin } from '../core/provider.ts';

const HOST = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::\d{1,5})?$/i;
const PRINTABLE = /^[^\s\p{C}]{1,4096}$/u;
const loginSchema = z.object({
  host: z.string().regex(HOST),
  username: z.string().regex(PRINTABLE),
  password: z.string().regex(PRINTABLE),
});

/**
 * The login that the server's variable `name` holds: `user:password@host`, or JSON with host, username and password. The password
 * is masked from here on. Throws `invalid_input` for a name that is none, `config_missing` for a variable that is unset
 * or cannot be read; never a word of its value.
 */
export function registryLoginOf(name: string, secrets: Secrets): RegistryLogin {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
    throw new InputError(
      'invalid_input',
      'registryAuth is not the name of an environment variable.',
      {
        hint: 'Let the user set a variable of this server to user:password@host, then give its name. Never the login itself.',
      },
    );
  const value = secrets.value(name);
  if (value === undefined || value === '')
    throw new ConfigError('config_missing', `The variable ${name} is not set for this server.`);
  const login = loginSchema.safeParse(
    value.trimStart().startsWith('{') ? jsonOf(value) : partsOf(value.trim()),
  );
  if (!login.success)
    throw new ConfigError('config_missing', `The variable ${name} holds no registry login.`, {
      hint: 'It must be user:password@host, or JSON with host, username and password, without spaces in any of them.',
    });
  secrets.mask?.(login.data.password);
  return login.data;
}

/** The user ends at the first colon and the host begins after the last "@": a password may hold both. */
function partsOf(value: string): unknown {
  const colon = value.indexOf(':');
  const at = value.lastIndexOf('@');
  if (colon < 1 || at < colon) return undefined;
  return {
    username: value.slice(0, colon),
    password: value.slice(colon + 1, at),
    host: value.slice(at + 1),
  };
}

function jsonOf(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return undefined;
  }
}
