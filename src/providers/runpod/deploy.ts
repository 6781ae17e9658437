import type { CallOptions } from '../../core/call.ts';
import { graphqlInputOf, type Order, restBodyOf } from './create-body.ts';
import { DEPLOY, DEPLOY_SPOT } from './documents.ts';
import { type PodRow, rowOfGraphql, rowOfRest } from './rows.ts';
import type { Transport } from './transport.ts';
import { deployedSchema, doneSchema } from './wire.ts';
import { restPodSchema } from './wire-rest.ts';

const WHAT = 'The creation';
const LIMIT_SECONDS = 60;

/**
 * One try. `undefined`: RunPod said yes and named no pod. GraphQL alone knows bids, and the end that RunPod itself keeps. A
 * failure is a refusal, or no answer; what an answer of another shape did is not known, so it is `undefined` too.
 */
export async function deploy(
  { graphql, rest, first }: Transport,
  order: Order,
  secrets: readonly string[],
  options: CallOptions,
): Promise<PodRow | undefined> {
  const common = { what: WHAT, secrets, timeoutSeconds: LIMIT_SECONDS, repeat: 'never' } as const;
  const isSpot = order.bidUsdPerHour !== undefined;
  return first(WHAT, [
    [
      'graphql',
      async () => {
        const variables = { input: graphqlInputOf(order) };
        const document = isSpot ? DEPLOY_SPOT : DEPLOY;
        const told = await graphql({ ...common, document, variables, schema: doneSchema }, options);
        const parsed = deployedSchema.safeParse(told);
        const pod = parsed.data?.podFindAndDeployOnDemand ?? parsed.data?.podRentInterruptable;
        return pod == null ? undefined : rowOfGraphql(pod);
      },
    ],
    ...(isSpot
      ? []
      : [
          [
            'v2',
            async () => {
              const call = {
                ...common,
                method: 'POST',
                path: '/pods',
                body: restBodyOf(order),
              } as const;
              const parsed = restPodSchema.safeParse(
                await rest({ ...call, schema: doneSchema }, options),
              );
              return parsed.success ? rowOfRest(parsed.data) : undefined;
            },
          ] as const,
        ]),
  ]);
}
