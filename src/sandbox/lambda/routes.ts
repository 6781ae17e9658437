import {
  addKey,
  createFileSystem,
  deleteFileSystem,
  deleteKey,
  listFileSystems,
  listKeys,
  listRules,
  setRules,
} from './account.ts';
import { data } from './answers.ts';
import type { Route } from './call.ts';
import { REGIONS } from './catalog.ts';
import { launch } from './launch.ts';
import {
  listInstances,
  listTypes,
  renameInstance,
  restartInstances,
  showInstance,
  terminateInstances,
} from './manage.ts';
import { imageRows } from './rows.ts';

const BASE = '/api/v1';
export const LAUNCH = `${BASE}/instance-operations/launch`;

/** Every route that is made up here. Others of the real cloud (clusters, tickets, audit) answer 404. */
const ROUTES: readonly Route[] = [
  { method: 'GET', path: '/instances', handle: listInstances },
  { method: 'GET', path: '/instances/{}', handle: showInstance },
  { method: 'POST', path: '/instances/{}', handle: renameInstance },
  { method: 'GET', path: '/instance-types', handle: listTypes },
  { method: 'POST', path: '/instance-operations/launch', handle: launch },
  { method: 'POST', path: '/instance-operations/restart', handle: restartInstances },
  { method: 'POST', path: '/instance-operations/terminate', handle: terminateInstances },
  { method: 'GET', path: '/regions', handle: () => data(REGIONS) },
  { method: 'GET', path: '/images', handle: () => data(imageRows(REGIONS)) },
  { method: 'GET', path: '/ssh-keys', handle: listKeys },
  { method: 'POST', path: '/ssh-keys', handle: addKey },
  { method: 'DELETE', path: '/ssh-keys/{}', handle: deleteKey },
  { method: 'GET', path: '/file-systems', handle: listFileSystems },
  { method: 'POST', path: '/filesystems', handle: createFileSystem },
  { method: 'DELETE', path: '/filesystems/{}', handle: deleteFileSystem },
  { method: 'GET', path: '/firewall-rules', handle: listRules },
  { method: 'PUT', path: '/firewall-rules', handle: setRules },
];

/** The route of a path and what stands for its `{}`. */
export function findRoute(
  method: string,
  path: string,
): { readonly route: Route; readonly id: string } | undefined {
  if (!path.startsWith(`${BASE}/`)) return undefined;
  const rest = path.slice(BASE.length);
  for (const route of ROUTES) {
    if (route.method !== method) continue;
    if (route.path === rest) return { route, id: '' };
    const head = route.path.slice(0, -2);
    const id = rest.slice(head.length);
    if (route.path.endsWith('{}') && rest.startsWith(head) && id !== '' && !id.includes('/'))
      return { route, id };
  }
  return undefined;
}
