import type { CallOptions } from '../../core/call.ts';
import { ConfigError, isAppError, ProviderError } from '../../core/errors.ts';
import { type Catalog, catalogOfGraphql, catalogOfRest } from './catalog.ts';
import {
  ACCOUNT_QUERY,
  CATALOG_QUERY,
  KEYS_QUERY,
  POD_QUERY,
  PODS_QUERY,
  SAVE_KEYS,
  TEMPLATE_QUERY,
} from './documents.ts';
import { KEY_NAME } from './failure.ts';
import {
  type PodRow,
  rowOfGraphql,
  rowOfOld,
  rowOfRest,
  type TemplateRow,
  templateOfRest,
} from './rows.ts';
import type { Transport } from './transport.ts';
import {
  accountSchema,
  doneSchema,
  graphqlCatalogSchema,
  graphqlKeysSchema,
  graphqlTemplateSchema,
  oldPodSchema,
  podAnswerSchema,
  podsAnswerSchema,
  type RestPod,
  restDataCentersSchema,
  restGpusSchema,
  restKeysSchema,
  restPodSchema,
  restPodsSchema,
  restTemplateSchema,
  restTemplatesSchema,
} from './wire.ts';

const PAGE_ROWS = 1000;
const MAX_PAGES = 100;

/** What RunPod knows, one method a question; each asks the interface that tells most and has not been withdrawn. */
export interface RunpodApi {
  catalog(gpuCount: number, options: CallOptions): Promise<Catalog>;
  /** `undefined`: gone. */
  pod(id: string, options: CallOptions): Promise<PodRow | undefined>;
  pods(options: CallOptions): Promise<readonly PodRow[]>;
  /** `undefined`: the interface that tells it is withdrawn. */
  balanceUsd(options: CallOptions): Promise<number | undefined>;
  /** Lines of authorized_keys. */
  accountKeys(options: CallOptions): Promise<readonly string[]>;
  /** Replaces them all. */
  saveAccountKeys(keys: readonly string[], options: CallOptions): Promise<void>;
  /** `undefined`: there is none, or it is not ours to use. */
  template(id: string, options: CallOptions): Promise<TemplateRow | undefined>;
}

export function createRunpodApi(transport: Transport): RunpodApi {
  const { graphql, rest, old, first } = transport;

  async function restPods(options: CallOptions): Promise<readonly PodRow[]> {
    const rows = new Map<string, RestPod>();
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const query = { limit: String(PAGE_ROWS), ...(cursor === undefined ? {} : { cursor }) };
      const order = { what: LIST, method: 'GET', path: '/pods', query } as const;
      const answer = await rest({ ...order, schema: restPodsSchema }, options);
      for (const row of answer.pods) rows.set(row.id, row);
      const next = answer.pagination?.nextCursor ?? undefined;
      if (answer.pagination?.hasNextPage !== true || next === undefined)
        return [...rows.values()].map(rowOfRest);
      if (next === cursor) break;
      cursor = next;
    }
    throw new ProviderError('provider_contract', 'The list of pods at RunPod does not end.');
  }

  async function pods(options: CallOptions): Promise<readonly PodRow[]> {
    return first(LIST, [
      [
        'graphql',
        async () => {
          const order = { what: LIST, document: PODS_QUERY, schema: podsAnswerSchema };
          const { myself } = await graphql(order, options);
          return (known(myself, LIST).pods ?? []).map(rowOfGraphql);
        },
      ],
      ['v2', async () => restPods(options)],
      [
        'v1',
        async () => {
          const order = { what: LIST, method: 'GET', path: '/pods' } as const;
          return (await old({ ...order, schema: oldPodSchema.array() }, options)).map(rowOfOld);
        },
      ],
    ]);
  }

  async function graphqlPod(id: string, options: CallOptions): Promise<PodRow | undefined> {
    const order = { what: STATE, document: POD_QUERY, variables: { id }, schema: podAnswerSchema };
    const { myself, pod } = await graphql(order, options);
    // Nobody sees any pod without being logged in: that says nothing about this one.
    const { pods: listed = [] } = known(myself, STATE);
    if (pod?.id === id) return rowOfGraphql(pod);
    if (pod !== null)
      throw new ProviderError('provider_contract', 'RunPod answered with another pod.');
    // A living pod is now and then denied by its id: the list decides.
    if (!listed.some((each) => each.id === id)) return undefined;
    return (await pods(options)).find((row) => row.id === id);
  }

  return {
    async catalog(gpuCount, options) {
      const what = 'The list of offers';
      return first(what, [
        [
          'graphql',
          async () => {
            const variables = {
              secure: { gpuCount, secureCloud: true },
              community: { gpuCount, secureCloud: false, supportPublicIp: true },
            };
            const order = { what, document: CATALOG_QUERY, variables };
            return catalogOfGraphql(
              await graphql({ ...order, schema: graphqlCatalogSchema }, options),
            );
          },
        ],
        [
          'v2',
          async () => {
            const gpusIn = async (cloud: 'SECURE' | 'COMMUNITY') => {
              const query = {
                include: 'AVAILABILITY',
                product: 'POD',
                count: String(gpuCount),
                cloud,
              };
              const order = { what, method: 'GET', path: '/catalog/gpus', query } as const;
              return (await rest({ ...order, schema: restGpusSchema }, options)).gpus;
            };
            const centers = { what, method: 'GET', path: '/catalog/datacenters' } as const;
            const [secure, community, { dataCenters }] = await Promise.all([
              gpusIn('SECURE'),
              gpusIn('COMMUNITY'),
              rest({ ...centers, schema: restDataCentersSchema }, options),
            ]);
            return catalogOfRest({ secure, community }, dataCenters);
          },
        ],
      ]);
    },
    async pod(id, options) {
      const path = `/pods/${id}`;
      const order = { what: STATE, method: 'GET', path } as const;
      return first(STATE, [
        ['graphql', async () => graphqlPod(id, options)],
        [
          'v2',
          async () => {
            const row = await rest({ ...order, schema: restPodSchema }, options).catch(goneIfTold);
            return row === undefined ? undefined : rowOfRest(row);
          },
        ],
        [
          'v1',
          async () => {
            const row = await old({ ...order, schema: oldPodSchema }, options).catch(goneIfTold);
            return row === undefined ? undefined : rowOfOld(row);
          },
        ],
      ]);
    },
    pods,
    async balanceUsd(options) {
      const what = 'The account';
      return first(what, [
        [
          'graphql',
          async () => {
            const { myself } = await graphql(
              { what, document: ACCOUNT_QUERY, schema: accountSchema },
              options,
            );
            return known(myself, what).clientBalance ?? undefined;
          },
        ],
        [
          'v2',
          async () => {
            // It tells no balance, but whether the key lives.
            const order = { what, method: 'GET', path: '/pods', query: { limit: '1' } } as const;
            await rest({ ...order, schema: doneSchema }, options);
            return undefined;
          },
        ],
      ]);
    },
    async accountKeys(options) {
      const what = 'The list of SSH keys';
      return first(what, [
        [
          'v2',
          async () => {
            const order = { what, method: 'GET', path: '/account/ssh-keys' } as const;
            return (await rest({ ...order, schema: restKeysSchema }, options)).keys;
          },
        ],
        [
          'graphql',
          async () => {
            const { myself } = await graphql(
              { what, document: KEYS_QUERY, schema: graphqlKeysSchema },
              options,
            );
            return (known(myself, what).pubKey ?? '')
              .split(/[\r\n]+/)
              .map((line) => line.trim())
              .filter((line) => line !== '');
          },
        ],
      ]);
    },
    async saveAccountKeys(keys, options) {
      const what = 'The registration of the SSH key';
      await first<unknown>(what, [
        [
          'v2',
          async () => {
            const order = {
              what,
              method: 'PUT',
              path: '/account/ssh-keys',
              body: { keys },
            } as const;
            return rest({ ...order, repeat: 'safe', schema: doneSchema }, options);
          },
        ],
        [
          'graphql',
          async () => {
            const variables = { keys: keys.join('\n\n') };
            return graphql({ what, document: SAVE_KEYS, variables, schema: doneSchema }, options);
          },
        ],
      ]);
    },
    async template(id, options) {
      const what = 'The template';
      return first(what, [
        [
          'graphql',
          async () => {
            const order = { what, document: TEMPLATE_QUERY, variables: { id } };
            const { podTemplate } = await graphql(
              { ...order, schema: graphqlTemplateSchema },
              options,
            );
            return podTemplate === null ? undefined : templateOfGraphql(podTemplate);
          },
        ],
        ['v2', async () => restTemplate(id, options)],
      ]);
    },
  };

  async function restTemplate(id: string, options: CallOptions): Promise<TemplateRow | undefined> {
    const what = 'The template';
    const own = { what, method: 'GET', path: `/templates/${encodeURIComponent(id)}` } as const;
    const mine = await rest({ ...own, schema: restTemplateSchema }, options).catch(goneIfTold);
    if (mine !== undefined) return templateOfRest(mine);
    const shared = { what, method: 'GET', path: '/catalog/templates' } as const;
    const { templates } = await rest({ ...shared, schema: restTemplatesSchema }, options);
    const found = templates.find((each) => each.id === id);
    return found === undefined ? undefined : templateOfRest(found);
  }
}

const LIST = 'The list of pods';
const STATE = 'The state of the pod';

function templateOfGraphql(
  template: NonNullable<ReturnType<typeof graphqlTemplateSchema.parse>['podTemplate']>,
): TemplateRow {
  return {
    id: template.id,
    image: template.imageName ?? '',
    startCommand: template.dockerArgs ?? '',
    env: Object.fromEntries(template.env.map(({ key, value }) => [key, value])),
    ports: (template.ports ?? '')
      .split(',')
      .map((port) => port.trim())
      .filter((port) => port !== ''),
    containerDiskGb: template.containerDiskInGb ?? 0,
    volumeMountPath: template.volumeMountPath ?? undefined,
    isServerless: template.isServerless === true,
  };
}

/** Without a login RunPod answers "nobody", not an error: what it knows of nobody's things says nothing. */
export function known<T>(myself: T | null, what: string): T {
  if (myself !== null) return myself;
  throw new ConfigError(
    'auth_rejected',
    `${what}: RunPod does not accept the key in ${KEY_NAME}.`,
    {
      hint: `Set ${KEY_NAME} to a living key from the RunPod console, then restart.`,
    },
  );
}

export function goneIfTold(failure: unknown): undefined {
  if (isAppError(failure) && failure.code === 'not_found') return undefined;
  throw failure;
}
