import { Buffer } from 'node:buffer';
import { InputError } from '../../core/errors.ts';
import { shellQuote } from '../../core/shell-quote.ts';
import { setupPart } from '../boot-script.ts';

const LIMIT_BYTES = 1_000_000;
/** What PAM, which reads /etc/environment at a login, takes for a comment, for quotes, or for the end of a line. */
const UNREADABLE = /[\0\n\r#]|^[\s'"]|[\s\\]$/;

export interface UserDataTerms {
  readonly sshPublicKey: string;
  readonly setup?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * The script that cloud-init runs once, as root, at the first boot: our key is let in, variables are written to /etc/environment,
 * where logins find them, and the caller's setup runs in the home of the login (its output goes to `~/.gpu-lease/bootstrap.log`).
 * What it makes there belongs to the login. Throws `too_large`, and `invalid_input` for what no script or variable can hold.
 */
export function userDataOf({ sshPublicKey, setup = '', env }: UserDataTerms): string {
  if (setup.includes('\0'))
    throw new InputError('invalid_input', 'setup holds a NUL character, which no script can.');
  const key = shellQuote(sshPublicKey.trim());
  const script = `#!/bin/sh
# A first boot as root has no home of its own to work in: the login's is meant.
gl=\${HOME:-/root}
if [ "$(id -u)" = 0 ] && [ "$gl" = /root ] && [ -d /home/ubuntu ]; then gl=/home/ubuntu; fi
HOME=$gl
export HOME
(
umask 077
mkdir -p "$gl/.ssh" "$gl/.gpu-lease" && cd "$gl/.gpu-lease" || exit 0
grep -qxF ${key} ../.ssh/authorized_keys || printf '\\n%s\\n' ${key} >> ../.ssh/authorized_keys
) < /dev/null > /dev/null 2>&1
${variables(env)}${setup.trim() === '' ? '' : setupPart(setup)}if [ "$gl" = /home/ubuntu ]; then find "$gl" -xdev -user root -exec chown -h ubuntu: {} + ; fi
exit 0
`;
  const bytes = Buffer.byteLength(script);
  if (bytes <= LIMIT_BYTES) return script;
  throw new InputError(
    'too_large',
    `setup and env make a boot script of ${bytes} bytes: Lambda takes ${LIMIT_BYTES}.`,
    { hint: 'Bring long scripts over with sync_files and run them as a job.' },
  );
}

/** For the boot script, and for every login after it. */
function variables(env: UserDataTerms['env']): string {
  return Object.entries(env)
    .map(([name, value]) => {
      if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || UNREADABLE.test(value))
        throw new InputError(
          'invalid_input',
          'env holds something that the logins of a Lambda machine would not read as it is.',
          {
            hint: 'Use names of letters, digits and "_", and values of one line without "#" and without a quote or blank at an end. Bring others over as a file with sync_files.',
          },
        );
      const line = shellQuote(`${name}=${value}`);
      return `export ${line}\nprintf '%s\\n' ${line} >> /etc/environment\n`;
    })
    .join('');
}
