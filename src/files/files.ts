import type { Files } from '../core/files.ts';
import type { FilesDeps } from './deps.ts';
import { createFetch } from './fetch.ts';
import { createGates } from './gates.ts';
import { throwUnreadable } from './local-failure.ts';
import { createSync } from './sync.ts';

/** Code over, results home, and what still forbids destroying a pod. */
export function createFiles(deps: FilesDeps): Files {
  const sync = createSync(deps);
  return {
    sync: async (request, options) => sync(request, options).catch(throwUnreadable),
    fetch: createFetch(deps),
    gates: createGates(deps),
  };
}
