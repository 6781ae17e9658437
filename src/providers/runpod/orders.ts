import type { CallOptions } from '../../core/call.ts';
import { InputError, isAppError, ProviderError } from '../../core/errors.ts';
import { BID_RESUME, RESUME, STOP, TERMINATE } from './documents.ts';
import type { PodApi } from './pod-api.ts';
import type { PodRow } from './rows.ts';
import type { Transport } from './transport.ts';
import { doneSchema } from './wire.ts';

/** What can be done to a pod that exists. Each order may be given again without harm. */
export interface PodOrders {
  /** A missing pod succeeds. Throws `teardown_unconfirmed` when RunPod denies a pod that it still shows. */
  terminate(id: string, options: CallOptions): Promise<void>;
  stop(id: string, options: CallOptions): Promise<void>;
  start(row: PodRow, options: CallOptions): Promise<void>;
  restart(id: string, options: CallOptions): Promise<void>;
  /** Starts an interruptible pod, or goes on with it, at this bid. */
  bid(row: PodRow, usdPerGpu: number, options: CallOptions): Promise<void>;
}

export function createPodOrders(transport: Transport, api: Pick<PodApi, 'pod'>): PodOrders {
  const { graphql, rest, old, first } = transport;
  const action = (id: string, what: string, name: string) => ({
    what,
    method: 'POST' as const,
    path: `/pods/${id}/action`,
    body: { action: name },
    repeat: 'safe' as const,
    schema: doneSchema,
  });
  const oldAction = (id: string, what: string, name: string) => ({
    what,
    method: 'POST' as const,
    path: `/pods/${id}/${name}`,
    repeat: 'safe' as const,
    schema: doneSchema,
  });

  return {
    async terminate(id, options) {
      const what = 'The destruction';
      const order = {
        what,
        method: 'DELETE',
        path: `/pods/${id}`,
        repeat: 'safe',
        schema: doneSchema,
      } as const;
      try {
        await first<unknown>(what, [
          [
            'graphql',
            async () =>
              graphql(
                { what, document: TERMINATE, variables: { id }, schema: doneSchema },
                options,
              ),
          ],
          ['v2', async () => rest(order, options)],
          ['v1', async () => old(order, options)],
        ]);
      } catch (failure) {
        options.signal.throwIfAborted();
        if (!isAppError(failure) || failure.code !== 'not_found') throw failure;
        // Only a look tells whether "missing" is true.
        if ((await api.pod(id, options)) !== undefined)
          throw new ProviderError(
            'teardown_unconfirmed',
            'RunPod says that there is no such pod, and shows it.',
            { cause: failure },
          );
      }
    },
    async stop(id, options) {
      const what = 'The stop';
      await first<unknown>(what, [
        [
          'graphql',
          async () =>
            graphql({ what, document: STOP, variables: { id }, schema: doneSchema }, options),
        ],
        ['v2', async () => rest(action(id, what, 'stop'), options)],
        ['v1', async () => old(oldAction(id, what, 'stop'), options)],
      ]);
    },
    async start({ id, gpuCount }, options) {
      const what = 'The start';
      const variables = { id, count: gpuCount };
      await first<unknown>(what, [
        [
          'graphql',
          async () => graphql({ what, document: RESUME, variables, schema: doneSchema }, options),
        ],
        ['v2', async () => rest(action(id, what, 'start'), options)],
        ['v1', async () => old(oldAction(id, what, 'start'), options)],
      ]);
    },
    async restart(id, options) {
      const what = 'The restart';
      await first<unknown>(what, [
        ['v2', async () => rest({ ...action(id, what, 'restart'), repeat: 'never' }, options)],
        ['v1', async () => old({ ...oldAction(id, what, 'restart'), repeat: 'never' }, options)],
      ]);
    },
    async bid({ id, gpuCount, isSpot }, usdPerGpu, options) {
      if (!isSpot)
        throw new InputError('unsupported', 'This pod is on demand: it has no bid to change.', {
          hint: 'Rent an interruptible offer to bid.',
        });
      const what = 'The bid';
      const variables = { id, bid: usdPerGpu, count: gpuCount };
      await first<unknown>(what, [
        [
          'graphql',
          async () =>
            graphql({ what, document: BID_RESUME, variables, schema: doneSchema }, options),
        ],
      ]);
    },
  };
}
