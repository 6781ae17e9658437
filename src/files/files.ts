import type { Files } from '../core/files.ts';
import type { FilesDeps } from './deps.ts';
import { createFetch } from './fetch.ts';
import { createGates } from './gates.ts';
import { createSync } from './sync.ts';

/** Code over, results home, and what still forbids destroying a pod. */
export function createFiles(deps: FilesDeps): Files {
  return { sync: createSync(deps), fetch: createFetch(deps), gates: createGates(deps) };
}
