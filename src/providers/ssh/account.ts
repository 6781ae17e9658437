import { homedir, userInfo } from 'node:os';

/** Whose account this server runs under. A container may run it under a number that has no account. */
export function account(): { readonly name: string; readonly home: string } {
  try {
    const { username, homedir: home } = userInfo();
    return { name: username, home };
  } catch {
    return { name: '', home: homedir() };
  }
}
