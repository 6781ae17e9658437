import { type AppError, InputError, RemoteError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';

/** Logins that images name when they turn root away. Only these are ever repeated in words of ours. */
const OTHER_LOGIN =
  /login as the user "?(ubuntu|debian|admin|centos|rocky|fedora|ec2-user|opc|azureuser|cloud-user)"? rather than/i;
const TERMINAL_ONLY = /support PTY|PTY allocation request failed|requires? a (?:tty|pty|terminal)/i;

/** Why a machine that let us in ended the channel without running our command. `said` is foreign text. */
export function otherProgram(said: string): AppError {
  const foreignText = quoteForeign(said, 500);
  const login = OTHER_LOGIN.exec(said)?.[1];
  if (login !== undefined)
    return new RemoteError('ssh_refused', 'The machine turns this login away.', {
      hint: `It wants the user "${login.toLowerCase()}": save the profile again with that user.`,
      foreignText,
    });
  if (TERMINAL_ONLY.test(said))
    return new InputError('unsupported', 'This way to the machine carries a terminal only.', {
      hint: 'Commands, sessions and files need its direct SSH address. For RunPod: Connect, "SSH over exposed TCP" (publish 22/tcp if it is missing).',
      foreignText,
    });
  return new RemoteError('remote_failed', 'The machine let us in but did not run the command.', {
    hint: 'Its login runs a fixed program instead of a shell. Ask the user for a login with a shell.',
    foreignText,
  });
}
