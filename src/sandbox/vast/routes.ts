import {
  addSecret,
  changeSecret,
  createApiKey,
  currentUser,
  deleteApiKey,
  deleteSecret,
  deposit,
  listApiKeys,
  listSecrets,
} from './account.ts';
import { success } from './answers.ts';
import type { Category, Route } from './call.ts';
import { listCharges } from './charges.ts';
import { createBulk, createInstance, launchInstance } from './create.ts';
import {
  addKey,
  attachKey,
  changeKey,
  deleteKey,
  detachKey,
  listInstanceKeys,
  listKeys,
} from './keys.ts';
import {
  countInstances,
  listFilters,
  listInstances,
  listIsGone,
  listLite,
  showInstance,
} from './list.ts';
import { executeCommand, logFile, requestLogs } from './logs.ts';
import {
  changeBid,
  destroyInstance,
  destroyMany,
  manageInstance,
  manageMany,
  prepayInstance,
  rebootInstance,
  recycleInstance,
  reportMachine,
  startMany,
  updateTemplate,
} from './manage.ts';
import { gpuNames, searchAsks, searchBundles, searchByQuery } from './search.ts';
import { createTemplate, deleteTemplate, editTemplate, searchTemplates } from './templates.ts';
import { createVolume, deleteVolume, listVolumes, searchVolumes } from './volumes.ts';

type More = Omit<Route, 'method' | 'path' | 'category' | 'handle'>;
const route = (
  line: `${Route['method']} ${string}`,
  category: Category | undefined,
  handle: Route['handle'],
  more: More = {},
): Route => {
  const [method, path = ''] = line.split(' ');
  return { method: methodOf(method), path, category, handle, ...more };
};
const methodOf = (word = ''): Route['method'] =>
  word === 'POST' || word === 'PUT' || word === 'DELETE' ? word : 'GET';

const READ = 'instance_read';
const WRITE = 'instance_write';
const own = { forInstanceKey: true } as const;
const named = (permission: string): More => ({ permission: `api.instance.${permission}` });

/**
 * Every route, with the permission that a key needs (the official map of routes to scopes) and the least seconds between
 * two calls. The first that fits is taken, so words stand before `{}`.
 */
export const ROUTES: readonly Route[] = [
  route('GET instance_logs/{}', undefined, logFile),
  route('GET api/v0/gpu_names/unique', undefined, gpuNames),
  route('POST api/v0/bundles', 'misc', searchBundles, { keyOptional: true, perMinute: 10 }),
  route('GET api/v0/bundles', 'misc', searchByQuery, { keyOptional: true, perMinute: 10 }),
  route('PUT api/v0/search/asks', 'misc', searchAsks, { keyOptional: true, perMinute: 10 }),

  route('POST api/v0/asks/bulk', WRITE, createBulk, { threshold: 4.5 }),
  route('PUT api/v0/asks/{}', WRITE, createInstance, { threshold: 4.5 }),
  route('PUT api/v0/launch_instance', 'misc', launchInstance, { threshold: 5 }),

  route('GET api/v1/instances', READ, listInstances, { threshold: 1 }),
  route('GET api/v1/instances/lite', READ, listLite),
  route('GET api/v1/counts', READ, countInstances),
  route('GET api/v0/instances', READ, listIsGone),
  route('PUT api/v0/instances', WRITE, manageMany, { threshold: 1 }),
  route('DELETE api/v0/instances', WRITE, destroyMany, { threshold: 3 }),
  route('POST api/v0/instances/start', WRITE, startMany, { threshold: 2 }),
  route('GET api/v0/instances/filters', READ, listFilters),
  route('GET api/v0/instances/count', READ, countInstances),
  route('GET api/v0/instances/pending-price-increases', READ, () =>
    success({ pending_price_increases: [] }),
  ),
  route('GET api/v0/instances/balance/{}', READ, deposit, { threshold: 3 }),
  route('PUT api/v0/instances/bid_price/{}', WRITE, changeBid, { threshold: 5.5 }),
  route('PUT api/v0/instances/command/{}', WRITE, executeCommand, { threshold: 1.5 }),
  route('PUT api/v0/instances/prepay/{}', WRITE, prepayInstance, { threshold: 2 }),
  route('PUT api/v0/instances/reboot/{}', WRITE, rebootInstance, { threshold: 1 }),
  route('PUT api/v0/instances/recycle/{}', WRITE, recycleInstance, { threshold: 1 }),
  route('PUT api/v0/instances/request_logs/{}', READ, requestLogs, named('request_logs')),
  route('PUT api/v0/instances/update_template/{}', WRITE, updateTemplate),
  route('GET api/v0/instances/{}', READ, showInstance, { ...own, ...named('show'), threshold: 2 }),
  route('PUT api/v0/instances/{}', WRITE, manageInstance, {
    ...own,
    ...named('manage'),
    threshold: 1,
  }),
  route('DELETE api/v0/instances/{}', WRITE, destroyInstance, {
    ...own,
    ...named('destroy'),
    threshold: 3,
  }),
  route('GET api/v0/instances/{}/ssh', READ, listInstanceKeys),
  route('POST api/v0/instances/{}/ssh', WRITE, attachKey),
  route('PUT api/v0/instances/{}/ssh', WRITE, attachKey),
  route('DELETE api/v0/instances/{}/ssh/{}', WRITE, detachKey, { threshold: 2 }),

  route('GET api/v0/ssh', 'user_read', listKeys),
  route('POST api/v0/ssh', 'user_write', addKey, { threshold: 1 }),
  route('PUT api/v0/ssh/{}', 'user_write', changeKey, { threshold: 1 }),
  route('DELETE api/v0/ssh/{}', 'user_write', deleteKey),

  route('GET api/v0/template', 'user_read', searchTemplates, { threshold: 3 }),
  route('POST api/v0/template', 'user_write', createTemplate),
  route('PUT api/v0/template', 'user_write', editTemplate),
  route('DELETE api/v0/template', 'user_write', deleteTemplate),

  route('POST api/v0/volumes/search', 'misc', searchVolumes, { threshold: 5.5 }),
  route('GET api/v0/volumes', READ, listVolumes, { threshold: 5.5 }),
  route('PUT api/v0/volumes', WRITE, createVolume, { threshold: 5.5 }),
  route('DELETE api/v0/volumes', WRITE, deleteVolume, { threshold: 5.5 }),

  route('GET api/v0/users/current', 'user_read', currentUser),
  route('GET api/v0/auth/apikeys', 'user_read', listApiKeys, { threshold: 1 }),
  route('POST api/v0/auth/apikeys', 'user_write', createApiKey, { threshold: 2 }),
  route('DELETE api/v0/auth/apikeys/{}', 'user_write', deleteApiKey, { threshold: 2 }),
  route('GET api/v0/secrets', 'user_read', listSecrets, { threshold: 5 }),
  route('POST api/v0/secrets', 'user_write', addSecret, { threshold: 3 }),
  route('PUT api/v0/secrets', 'user_write', changeSecret, { threshold: 3 }),
  route('DELETE api/v0/secrets', 'user_write', deleteSecret, { threshold: 3 }),
  route('GET api/v0/charges', 'billing_read', listCharges, { threshold: 1 }),
  route('PUT api/v0/machines/{}/report', WRITE, reportMachine),
];

export interface Found {
  readonly route: Route;
  readonly params: readonly string[];
}

/** The route of a path, with or without a slash at its end. The versions of the API share what only one of them has. */
export function findRoute(method: string, path: string): Found | undefined {
  const words = path.split('/').filter((word) => word !== '');
  const exact = match(method, words);
  if (exact !== undefined || words[0] !== 'api') return exact;
  return match(method, ['api', words[1] === 'v1' ? 'v0' : 'v1', ...words.slice(2)]);
}

function match(method: string, words: readonly string[]): Found | undefined {
  for (const candidate of ROUTES) {
    if (candidate.method !== method) continue;
    const pattern = candidate.path.split('/');
    if (pattern.length !== words.length) continue;
    if (!pattern.every((word, index) => word === '{}' || word === words[index])) continue;
    return { route: candidate, params: words.filter((_, index) => pattern[index] === '{}') };
  }
  return undefined;
}
