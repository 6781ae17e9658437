import { account } from './account.ts';
import { platformOfHost } from './platforms/recognise.ts';

/** Logins of common images, the likeliest first (KE-09). Named to people, never tried one by one. */
export const COMMON_USERS = ['root', 'ubuntu'] as const;

/**
 * Who to be where nobody said it: the user of the person's ssh configuration, else the platform's login, else root, and
 * after a clear denial one other. A login that somebody chose is never replaced (PR-15).
 */
export function firstUserOf(
  configured: string,
  host: string,
): { readonly user: string; readonly secondUser?: string } {
  if (configured !== account().name) return { user: configured };
  const [root, other] = COMMON_USERS;
  const usual = platformOfHost(host)?.sshUser;
  if (usual === undefined) return { user: root, secondUser: other };
  return usual === root ? { user: root } : { user: usual, secondUser: root };
}
