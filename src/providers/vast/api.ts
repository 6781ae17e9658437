import type { CallOptions } from '../../core/call.ts';
import { isAppError, ProviderError } from '../../core/errors.ts';
import type { Answer, Http, HttpOrder } from '../http.ts';
import type { Lane } from './paces.ts';
import {
  accountKeysSchema,
  type Contract,
  doneSchema,
  listSchema,
  logRequestSchema,
  searchSchema,
  showSchema,
  type Template,
  templatesSchema,
  type User,
  userSchema,
  type VolumeOffer,
  type VolumeRow,
  volumeOffersSchema,
  volumesSchema,
} from './wire.ts';

const PAGE_ROWS = 25;
const MAX_PAGES = 400;
const CREATE_LIMIT_SECONDS = 60;

/** Vast.ai's HTTP interface, one method an endpoint. Ids are the numbers of Vast.ai. */
export interface VastApi {
  /** `patienceSeconds`: somebody waits for it, so it is better refused than late. */
  search(
    body: unknown,
    options: CallOptions & { readonly patienceSeconds?: number },
  ): Promise<readonly unknown[]>;
  /** One try, any answer: what a failed creation says may name a machine that it made all the same. */
  create(
    askId: number,
    body: unknown,
    secrets: readonly string[],
    options: CallOptions,
  ): Promise<Answer>;
  /** `undefined`: gone. */
  show(id: number, options: CallOptions): Promise<Contract | undefined>;
  /** All pages; with a label only what carries it. */
  list(label: string | undefined, options: CallOptions): Promise<readonly Contract[]>;
  setState(id: number, state: 'running' | 'stopped', options: CallOptions): Promise<void>;
  /** A start that is refused is queued all the same, and may bill later: so it is sent once, and answered as it came. */
  start(id: number, options: CallOptions): Promise<Answer>;
  reboot(id: number, options: CallOptions): Promise<void>;
  /** A missing one succeeds. */
  destroy(id: number, options: CallOptions): Promise<void>;
  bid(id: number, usdPerHour: number, options: CallOptions): Promise<void>;
  requestLogs(id: number, tailLines: number, options: CallOptions): Promise<string>;
  /** The bodies of "type base64" of the account's SSH keys. */
  accountKeys(options: CallOptions): Promise<readonly string[]>;
  addAccountKey(publicKey: string, options: CallOptions): Promise<void>;
  addPodKey(id: number, publicKey: string, options: CallOptions): Promise<void>;
  templates(filters: unknown, options: CallOptions): Promise<readonly Template[]>;
  volumes(options: CallOptions): Promise<readonly VolumeRow[]>;
  volumeOffers(body: unknown, options: CallOptions): Promise<readonly VolumeOffer[]>;
  deleteVolume(id: number, options: CallOptions): Promise<void>;
  user(options: CallOptions): Promise<User>;
}

type Order = Omit<HttpOrder, 'lane' | 'repeat'> & { readonly lane: Lane };

export function createVastApi(http: Http): VastApi {
  const read = async <T>(
    order: Order & { readonly schema: Parameters<typeof http.call<T>>[0]['schema'] },
    options: CallOptions,
  ): Promise<T> => http.call({ ...order, repeat: 'safe' }, options);
  const done = async (order: Order, options: CallOptions): Promise<void> => {
    await read({ ...order, schema: doneSchema }, options);
  };

  async function show(id: number, options: CallOptions): Promise<Contract | undefined> {
    const path = `/api/v0/instances/${id}/`;
    const order = { what: 'The state of the pod', method: 'GET', path, lane: 'show' } as const;
    const { instances } = await read({ ...order, schema: showSchema }, options).catch(goneIfTold);
    if (instances !== null && instances.id !== id)
      throw new ProviderError('provider_contract', 'Vast.ai answered with another pod.');
    return instances ?? undefined;
  }

  async function list(label: string | undefined, options: CallOptions) {
    const query = {
      select_filters: label === undefined ? {} : { label: { in: [label] } },
      order_by: [{ col: 'id', dir: 'asc' }],
      limit: PAGE_ROWS,
    };
    const order = {
      what: 'The list of pods',
      method: 'GET',
      path: '/api/v1/instances/',
      lane: 'list',
      schema: listSchema,
    } as const;
    const rows = new Map<number, Contract>();
    let token: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const after = token === undefined ? {} : { after_token: token };
      const answer = await read({ ...order, query: { ...query, ...after } }, options);
      for (const row of answer.instances) rows.set(row.id, row);
      const next = answer.next_token ?? undefined;
      if (next === undefined || next === '')
        return [...rows.values()].filter((row) => label === undefined || row.label === label);
      if (next === token) break;
      token = next;
    }
    throw new ProviderError('provider_contract', 'The list of pods at Vast.ai does not end.');
  }

  async function destroy(id: number, options: CallOptions): Promise<void> {
    const path = `/api/v0/instances/${id}/`;
    const order = { what: 'The destruction', method: 'DELETE', path, lane: 'destroy' } as const;
    try {
      await done({ ...order, body: {} }, options);
    } catch (failure) {
      options.signal.throwIfAborted();
      // Only a look tells whether "missing" is about the pod; it throws when it cannot tell either.
      if (!isNotFound(failure) || (await show(id, options)) !== undefined) throw failure;
    }
  }

  const manage = (id: number, what: string, body: unknown): Order => ({
    what,
    method: 'PUT',
    path: `/api/v0/instances/${id}/`,
    lane: 'manage',
    body,
  });

  return {
    async search(body, { patienceSeconds, ...options }) {
      const order = { what: 'The search', method: 'POST', path: '/api/v0/bundles/' } as const;
      const asked = { ...order, lane: 'search', body, patienceSeconds } as const;
      return (await read({ ...asked, schema: searchSchema }, options)).offers;
    },
    async create(askId, body, secrets, options) {
      const what = 'The creation';
      const path = `/api/v0/asks/${askId}/`;
      const order = { what, method: 'PUT', path, lane: 'create', repeat: 'never' } as const;
      const timeoutSeconds = CREATE_LIMIT_SECONDS;
      return http.exchange({ ...order, body, secrets, timeoutSeconds }, options);
    },
    show,
    list,
    destroy,
    async setState(id, state, options) {
      await done(manage(id, state === 'stopped' ? 'The stop' : 'The start', { state }), options);
    },
    async start(id, options) {
      return http.exchange(
        { ...manage(id, 'The start', { state: 'running' }), repeat: 'never' },
        options,
      );
    },
    async reboot(id, options) {
      const path = `/api/v0/instances/reboot/${id}/`;
      await done({ what: 'The restart', method: 'PUT', path, lane: 'reboot', body: {} }, options);
    },
    async bid(id, usdPerHour, options) {
      const path = `/api/v0/instances/bid_price/${id}/`;
      const body = { client_id: 'me', price: usdPerHour };
      await done({ what: 'The bid', method: 'PUT', path, lane: 'bid', body }, options);
    },
    async requestLogs(id, tailLines, options) {
      const path = `/api/v0/instances/request_logs/${id}/`;
      const body = { tail: String(tailLines) };
      const order = { what: 'The boot log', method: 'PUT', path, lane: 'logs', body } as const;
      return (await read({ ...order, schema: logRequestSchema }, options)).result_url;
    },
    async accountKeys(options) {
      const order = { what: 'The list of SSH keys', method: 'GET', path: '/api/v0/ssh/' } as const;
      const schema = accountKeysSchema;
      const rows = await read({ ...order, lane: 'keys', schema }, options).catch(
        (failure: unknown) => {
          if (isNotFound(failure)) return [];
          throw failure;
        },
      );
      return rows.flatMap(({ key, public_key, deleted_at }) =>
        deleted_at ? [] : [key ?? public_key ?? ''],
      );
    },
    async addAccountKey(publicKey, options) {
      const body = { ssh_key: publicKey };
      const path = '/api/v0/ssh/';
      await done(
        { what: 'The registration of the SSH key', method: 'POST', path, lane: 'keys', body },
        options,
      );
    },
    async addPodKey(id, publicKey, options) {
      const body = { ssh_key: publicKey };
      const path = `/api/v0/instances/${id}/ssh/`;
      await done(
        { what: 'The SSH key for the pod', method: 'POST', path, lane: 'podKeys', body },
        options,
      );
    },
    async templates(filters, options) {
      const query = { select_cols: ['*'], select_filters: filters };
      const order = { what: 'The template', method: 'GET', path: '/api/v0/template/' } as const;
      const schema = templatesSchema;
      return (await read({ ...order, lane: 'template', query, schema }, options)).templates;
    },
    async volumes(options) {
      const query = { owner: 'me', type: 'all_volume' };
      const order = {
        what: 'The list of volumes',
        method: 'GET',
        path: '/api/v0/volumes',
      } as const;
      const schema = volumesSchema;
      return (await read({ ...order, lane: 'volumes', query, schema }, options)).volumes;
    },
    async volumeOffers(body, options) {
      const path = '/api/v0/volumes/search/';
      const order = { what: 'The search for a volume', method: 'POST', path } as const;
      const schema = volumeOffersSchema;
      return (await read({ ...order, lane: 'volumes', body, schema }, options)).offers;
    },
    async deleteVolume(id, options) {
      const what = 'The removal of the volume';
      const order = { what, method: 'DELETE', path: '/api/v0/volumes/', lane: 'volumes' } as const;
      await done({ ...order, query: { id: String(id) }, body: { id } }, options);
    },
    async user(options) {
      const order = { what: 'The account', method: 'GET', path: '/api/v0/users/current' } as const;
      return read({ ...order, lane: 'user', schema: userSchema }, options);
    },
  };
}

/** Only a refusal that names the pod is `not_found`; a bare 404 is not. */
function isNotFound(failure: unknown): boolean {
  return isAppError(failure) && failure.code === 'not_found';
}
function goneIfTold(failure: unknown): { readonly instances: null } {
  if (isNotFound(failure)) return { instances: null };
  throw failure;
}
