import type { CallOptions } from '../../core/call.ts';
import { ConfigError, isAppError, ProviderError } from '../../core/errors.ts';
import { POD_QUERY, PODS_QUERY } from './documents.ts';
import { KEY_NAME } from './failure.ts';
import { type PodRow, rowOfGraphql, rowOfOld, rowOfRest } from './rows.ts';
import type { Transport } from './transport.ts';
import { podAnswerSchema, podsAnswerSchema } from './wire.ts';
import { oldPodSchema, type RestPod, restPodSchema, restPodsSchema } from './wire-rest.ts';

const PAGE_ROWS = 1000;
const MAX_PAGES = 100;

export interface PodApi {
  /** `undefined`: gone. */
  pod(id: string, options: CallOptions): Promise<PodRow | undefined>;
  pods(options: CallOptions): Promise<readonly PodRow[]>;
}

export function createPodApi(transport: Transport): PodApi {
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
    const { pods: listed } = known(myself, STATE);
    if (pod?.id === id) return rowOfGraphql(pod);
    if (pod !== null)
      throw new ProviderError('provider_contract', 'RunPod answered with another pod.');
    // A living pod is now and then denied by its id: the list decides.
    if (!listed.some((each) => each.id === id)) return undefined;
    return (await pods(options)).find((row) => row.id === id);
  }

  return {
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
  };
}

const LIST = 'The list of pods';
const STATE = 'The state of the pod';

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
