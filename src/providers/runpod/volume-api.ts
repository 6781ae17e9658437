import type { CallOptions } from '../../core/call.ts';
import {
  CREATE_VOLUME,
  DELETE_VOLUME,
  REGISTRIES_QUERY,
  SAVE_REGISTRY,
  VOLUMES_QUERY,
} from './documents.ts';
import { known } from './pod-api.ts';
import type { VolumeRow } from './rows.ts';
import type { Transport } from './transport.ts';
import {
  doneSchema,
  graphqlRegistriesSchema,
  graphqlVolumesSchema,
  madeVolumeSchema,
  savedRegistrySchema,
} from './wire.ts';
import {
  restMadeSchema,
  restPodsSchema,
  restRegistriesSchema,
  restVolumesSchema,
} from './wire-rest.ts';

export interface VolumeApi {
  /** With the pods that use them. */
  list(options: CallOptions): Promise<readonly VolumeRow[]>;
  /** Never repeated: nothing tells two of the same name apart. */
  create(
    volume: { readonly name: string; readonly sizeGb: number; readonly dataCenterId: string },
    options: CallOptions,
  ): Promise<string>;
  remove(id: string, options: CallOptions): Promise<void>;
}

/** GraphQL lists volumes and pods in one question; the rest is the newer interface's. */
export function createVolumeApi({ graphql, rest, first }: Transport): VolumeApi {
  return {
    async list(options) {
      const what = 'The list of volumes';
      return first(what, [
        [
          'graphql',
          async () => {
            const order = { what, document: VOLUMES_QUERY, schema: graphqlVolumesSchema };
            const { networkVolumes, pods } = known((await graphql(order, options)).myself, what);
            return (networkVolumes ?? []).map(({ id, name, size, dataCenterId }) => ({
              id,
              name: name ?? '',
              sizeGb: size ?? 0,
              dataCenterId: dataCenterId ?? '',
              podIds: pods.filter((pod) => pod.networkVolumeId === id).map((pod) => pod.id),
            }));
          },
        ],
        [
          'v2',
          async () => {
            const order = { what, method: 'GET' } as const;
            const [{ networkVolumes }, { pods }] = await Promise.all([
              rest({ ...order, path: '/network-volumes', schema: restVolumesSchema }, options),
              rest({ ...order, path: '/pods', schema: restPodsSchema }, options),
            ]);
            return networkVolumes.map(({ id, name, size, dataCenter }) => ({
              id,
              name: name ?? '',
              sizeGb: size ?? 0,
              dataCenterId: dataCenter ?? '',
              podIds: pods
                .filter(({ mounts }) => mounts?.network.some(({ volumeId }) => volumeId === id))
                .map((pod) => pod.id),
            }));
          },
        ],
      ]);
    },
    async create({ name, sizeGb, dataCenterId }, options) {
      const what = 'The new volume';
      return first(what, [
        [
          'v2',
          async () => {
            const body = { name, size: sizeGb, dataCenter: dataCenterId };
            const order = { what, method: 'POST', path: '/network-volumes', body } as const;
            return (await rest({ ...order, schema: restMadeSchema }, options)).id;
          },
        ],
        [
          'graphql',
          async () => {
            const variables = { name, size: sizeGb, dataCenterId };
            const order = { what, document: CREATE_VOLUME, variables, repeat: 'never' } as const;
            return (await graphql({ ...order, schema: madeVolumeSchema }, options))
              .createNetworkVolume.id;
          },
        ],
      ]);
    },
    async remove(id, options) {
      const what = 'The removal of the volume';
      const order = { what, method: 'DELETE', path: `/network-volumes/${id}` } as const;
      const variables = { id };
      await first<unknown>(what, [
        ['v2', async () => rest({ ...order, repeat: 'safe', schema: doneSchema }, options)],
        [
          'graphql',
          async () =>
            graphql({ what, document: DELETE_VOLUME, variables, schema: doneSchema }, options),
        ],
      ]);
    },
  };
}

export interface RegistryLoginRow {
  readonly name: string;
  readonly username: string;
  readonly password: string;
}

/** The id of the credential of this name on the account; it is made where there is none, and stays there. */
export async function registryIdFor(
  { graphql, rest, first }: Transport,
  login: RegistryLoginRow,
  options: CallOptions,
): Promise<string> {
  const what = 'The registry login';
  const secrets = [login.password];
  return first(what, [
    [
      'v2',
      async () => {
        const order = { what, path: '/registries', secrets } as const;
        const list = { ...order, method: 'GET', schema: restRegistriesSchema } as const;
        const { registries } = await rest(list, options);
        const there = registries.find(({ name }) => name === login.name);
        if (there !== undefined) return there.id;
        const body = { ...login };
        const make = { ...order, method: 'POST', body, schema: restMadeSchema } as const;
        return (await rest(make, options)).id;
      },
    ],
    [
      'graphql',
      async () => {
        const list = { what, document: REGISTRIES_QUERY, schema: graphqlRegistriesSchema };
        const { containerRegistryCreds } = known((await graphql(list, options)).myself, what);
        const there = containerRegistryCreds.find(({ name }) => name === login.name);
        if (there !== undefined) return there.id;
        const order = { what, document: SAVE_REGISTRY, variables: { ...login }, secrets } as const;
        const make = { ...order, repeat: 'never', schema: savedRegistrySchema } as const;
        return (await graphql(make, options)).saveRegistryAuth.id;
      },
    ],
  ]);
}
