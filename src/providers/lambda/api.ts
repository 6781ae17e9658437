import type { CallOptions } from '../../core/call.ts';
import { isAppError, ProviderError } from '../../core/errors.ts';
import { KeyedLock } from '../../core/keyed-lock.ts';
import type { Answer, Http, HttpOrder } from '../http.ts';
import type { Pacer } from '../pacer.ts';
import { LANE, LAUNCH_EVERY_SECONDS, LAUNCH_LANE, SENT_LANE } from './paces.ts';
import {
  deletedSchema,
  type FileSystem,
  fileSystemAnswerSchema,
  fileSystemsSchema,
  type Image,
  type Instance,
  imagesSchema,
  instanceAnswerSchema,
  instancesSchema,
  restartedSchema,
  type SshKey,
  sshKeyAnswerSchema,
  sshKeysSchema,
  type TypeItem,
  terminatedSchema,
  typeItemSchema,
  typesSchema,
} from './wire.ts';

const LAUNCH_LIMIT_SECONDS = 60;
const BASE = '/api/v1';

/** Lambda's HTTP interface, one method an endpoint. Ids are those of Lambda. */
export interface LambdaApi {
  /** `patienceSeconds`: somebody waits for it, so it is better refused than late. */
  types(
    options: CallOptions & { readonly patienceSeconds?: number },
  ): Promise<ReadonlyMap<string, TypeItem>>;
  images(options: CallOptions): Promise<readonly Image[]>;
  instances(options: CallOptions): Promise<readonly Instance[]>;
  /** `undefined`: Lambda does not know it. */
  instance(id: string, options: CallOptions): Promise<Instance | undefined>;
  /** One try, any answer: what a failed launch leaves must be looked for. */
  launch(body: unknown, secrets: readonly string[], options: CallOptions): Promise<Answer>;
  /** Throws `not_found` for one that Lambda does not know. */
  terminate(id: string, options: CallOptions): Promise<void>;
  restart(id: string, options: CallOptions): Promise<void>;
  sshKeys(options: CallOptions): Promise<readonly SshKey[]>;
  addSshKey(name: string, publicKey: string, options: CallOptions): Promise<SshKey>;
  fileSystems(options: CallOptions): Promise<readonly FileSystem[]>;
  createFileSystem(name: string, region: string, options: CallOptions): Promise<FileSystem>;
  deleteFileSystem(id: string, options: CallOptions): Promise<void>;
}

type Order = Omit<HttpOrder, 'lane' | 'repeat'> & { readonly repeat?: HttpOrder['repeat'] };

/** Every call takes its turn of the one request a second that an account has; a launch waits for a second turn of its own. */
export function createLambdaApi(http: Http, pacer: Pick<Pacer, 'turn' | 'hold'>): LambdaApi {
  const call = async <T>(
    order: Order & { readonly schema: Parameters<typeof http.call<T>>[0]['schema'] },
    options: CallOptions,
  ): Promise<T> =>
    http.call({ repeat: 'safe', ...order, lane: LANE, path: `${BASE}${order.path}` }, options);

  const launching = new KeyedLock();
  return {
    async types({ patienceSeconds, ...options }) {
      const what = 'The list of machine types';
      const { data } = await call(
        { what, method: 'GET', path: '/instance-types', patienceSeconds, schema: typesSchema },
        options,
      );
      const read = Object.entries(data).flatMap(([name, item]) => {
        const parsed = typeItemSchema.safeParse(item);
        return parsed.success ? [[name, parsed.data] as const] : [];
      });
      if (read.length === 0 && Object.keys(data).length > 0)
        throw new ProviderError(
          'provider_contract',
          'Lambda answered with machine types that this version cannot read.',
        );
      return new Map(read);
    },
    async images(options) {
      const order = { what: 'The list of images', method: 'GET', path: '/images' } as const;
      return (await call({ ...order, schema: imagesSchema }, options)).data;
    },
    async instances(options) {
      const order = { what: 'The list of pods', method: 'GET', path: '/instances' } as const;
      const { data, page_token: more } = await call({ ...order, schema: instancesSchema }, options);
      if (more == null || more === '') return data;
      throw new ProviderError(
        'provider_contract',
        'Lambda answered with a part of the list of pods only.',
        { hint: 'Update gpu-lease: this version cannot ask for the rest.' },
      );
    },
    async instance(id, options) {
      const what = 'The state of the pod';
      const schema = instanceAnswerSchema;
      try {
        const path = `/instances/${id}`;
        const { data } = await call({ what, method: 'GET', path, schema }, options);
        if (data.id === id) return data;
      } catch (failure) {
        if (isNotFound(failure)) return undefined;
        throw failure;
      }
      throw new ProviderError('provider_contract', 'Lambda answered with another pod.');
    },
    async launch(body, secrets, options) {
      // What counts is when it is sent, not when it began to wait for its second turn.
      await launching.run(LAUNCH_LANE, async () => {
        await pacer.turn(LAUNCH_LANE, options);
        await pacer.turn(LANE, options);
        pacer.hold(LAUNCH_LANE, LAUNCH_EVERY_SECONDS);
      });
      return http.exchange(
        {
          what: 'The creation',
          method: 'POST',
          path: `${BASE}/instance-operations/launch`,
          lane: SENT_LANE,
          repeat: 'never',
          timeoutSeconds: LAUNCH_LIMIT_SECONDS,
          body,
          secrets,
        },
        options,
      );
    },
    async terminate(id, options) {
      const path = '/instance-operations/terminate';
      const order = { what: 'The destruction', method: 'POST', path } as const;
      // One id a call: what becomes of the others beside an unknown one is not documented.
      await call({ ...order, body: { instance_ids: [id] }, schema: terminatedSchema }, options);
    },
    async restart(id, options) {
      const path = '/instance-operations/restart';
      const order = { what: 'The restart', method: 'POST', path, repeat: 'never' } as const;
      await call({ ...order, body: { instance_ids: [id] }, schema: restartedSchema }, options);
    },
    async sshKeys(options) {
      const order = { what: 'The list of SSH keys', method: 'GET', path: '/ssh-keys' } as const;
      return (await call({ ...order, schema: sshKeysSchema }, options)).data;
    },
    async addSshKey(name, publicKey, options) {
      const what = 'The registration of the SSH key';
      const body = { name, public_key: publicKey };
      const order = { what, method: 'POST', path: '/ssh-keys', repeat: 'never', body } as const;
      return (await call({ ...order, schema: sshKeyAnswerSchema }, options)).data;
    },
    async fileSystems(options) {
      const order = { what: 'The list of volumes', method: 'GET', path: '/file-systems' } as const;
      return (await call({ ...order, schema: fileSystemsSchema }, options)).data;
    },
    async createFileSystem(name, region, options) {
      const what = 'The creation of the volume';
      const body = { name, region };
      const order = { what, method: 'POST', path: '/filesystems', repeat: 'never', body } as const;
      return (await call({ ...order, schema: fileSystemAnswerSchema }, options)).data;
    },
    async deleteFileSystem(id, options) {
      const what = 'The removal of the volume';
      const order = { what, method: 'DELETE', path: `/filesystems/${id}` } as const;
      await call({ ...order, schema: deletedSchema }, options);
    },
  };
}

/** Only the code that names the thing is `not_found`; a bare 404 is not. */
export function isNotFound(failure: unknown): boolean {
  return isAppError(failure) && failure.code === 'not_found';
}
