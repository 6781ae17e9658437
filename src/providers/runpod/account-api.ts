import type { CallOptions } from '../../core/call.ts';
import { ACCOUNT_QUERY, KEYS_QUERY, SAVE_KEYS } from './documents.ts';
import { known } from './pod-api.ts';
import type { Transport } from './transport.ts';
import { accountSchema, doneSchema, graphqlKeysSchema } from './wire.ts';
import { restKeysSchema } from './wire-rest.ts';

export interface AccountApi {
  /** `undefined`: the interface that tells it is withdrawn. */
  balanceUsd(options: CallOptions): Promise<number | undefined>;
  /** Lines of authorized_keys. */
  accountKeys(options: CallOptions): Promise<readonly string[]>;
  /** Replaces them all. */
  saveAccountKeys(keys: readonly string[], options: CallOptions): Promise<void>;
}

export function createAccountApi({ graphql, rest, first }: Transport): AccountApi {
  return {
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
  };
}
