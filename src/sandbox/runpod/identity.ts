import type { FakeRequest } from '../http.ts';
import type { Access, ApiKey, World } from './world.ts';

/** Who calls. `nobody`: without a key. `stranger`: with one that never was any. */
export type Identity = ApiKey | 'nobody' | 'stranger';

/** The key stands in a header; GraphQL also takes it in the address. */
export function identityOf(world: World, request: FakeRequest, inQuery: boolean): Identity {
  const [, bearer] = /^Bearer\s+(\S+)\s*$/i.exec(request.headers['authorization'] ?? '') ?? [];
  const key = bearer ?? (inQuery ? request.query.get('api_key') : null) ?? undefined;
  if (key === undefined) {
    const sent = request.headers['authorization'] ?? '';
    return sent.trim() === '' ? 'nobody' : 'stranger';
  }
  return world.apiKeys.get(key) ?? 'stranger';
}

const RANKS: Readonly<Record<Access, number>> = { none: 0, read: 1, write: 2 };
export const allows = (has: Access, needed: Access): boolean => RANKS[has] >= RANKS[needed];
