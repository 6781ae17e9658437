import { z } from 'zod';
import { rounded } from '../../vast/dice.ts';
import { rent } from '../create.ts';
import { COMMUNITY_COUNTRIES, DATA_CENTERS } from '../data-centers.ts';
import { allows, type Identity } from '../identity.ts';
import type { Life } from '../life.ts';
import { readPod, terminate } from '../manage.ts';
import { minBidPerGpu } from '../market.ts';
import { NO_SPOT, Refusal } from '../refusal.ts';
import type { World } from '../world.ts';
import { accountMutations } from './account.ts';
import { CPU_FLAVORS, dataCentersView, GPU_POOLS, gpuTypesView } from './catalog.ts';
import { envOf, pairs, portsOf, rentalFrom } from './input.ts';
import { podView, templateView, userView, type View } from './views.ts';

export type Args = Readonly<Record<string, unknown>>;
/** One request on its way through the resolvers. */
export interface Asked {
  readonly world: World;
  readonly life: Life;
  readonly identity: Identity;
  /** "POST /graphql podStop", as faults name it. */
  readonly route: string;
}
export type Resolver = (args: Args, asked: Asked) => unknown;

const unauthorized = (): Refusal => new Refusal('scope', 'Unauthorized');

/** Whether the caller may do this: everything with a key of the account, only about itself with a pod's own. */
function admit({ identity }: Asked, access: 'read' | 'write', podId?: string): void {
  if (identity === 'nobody' || identity === 'stranger') throw unauthorized();
  if (identity.podId !== undefined) {
    if (identity.podId !== podId) throw unauthorized();
  } else if (!allows(identity.graphql, access)) throw unauthorized();
}
export function writing(work: Resolver): Resolver {
  return (args, asked) => {
    admit(asked, 'write');
    return work(args, asked);
  };
}

const podIdOf = (args: Args): string =>
  z.object({ podId: z.string() }).parse(args['input'] ?? { podId: '' }).podId;

/** About one pod, which has to be there. */
const about =
  (work: (podId: string, args: Args, asked: Asked) => unknown): Resolver =>
  (args, asked) => {
    const podId = podIdOf(args);
    admit(asked, 'write', podId);
    return work(podId, args, asked);
  };
function livingPod({ world }: Asked, podId: string) {
  const pod = world.pods.get(podId);
  if (pod === undefined || pod.endedAt !== undefined)
    throw new Refusal('not-found', 'Pod not found');
  return pod;
}

function deploy(isBid: boolean): Resolver {
  return writing((args, asked): View | null => {
    const { world, life, route } = asked;
    const pod = rent(world, life, rentalFrom(world, args['input'], route, isBid));
    return pod === undefined ? null : podView(world, pod);
  });
}

const resumeSchema = z.object({ gpuCount: z.number().nullish(), bidPerGpu: z.number().nullish() });
const editSchema = z.object({
  dockerArgs: z.string().nullish(),
  imageName: z.string().nullish(),
  env: pairs,
  ports: z.string().nullish(),
  containerDiskInGb: z.number().nullish(),
  volumeInGb: z.number().nullish(),
  volumeMountPath: z.string().nullish(),
  containerRegistryAuthId: z.string().nullish(),
});

const podMutations: Readonly<Record<string, Resolver>> = {
  podFindAndDeployOnDemand: deploy(false),
  podRentInterruptable: deploy(true),
  podResume: about((podId, args, asked) => {
    const pod = livingPod(asked, podId);
    const { gpuCount } = resumeSchema.parse(args['input']);
    asked.life.start(pod, gpuCount ?? undefined, asked.route);
    return podView(asked.world, pod);
  }),
  podBidResume: about((podId, args, asked) => {
    const pod = livingPod(asked, podId);
    const { bidPerGpu, gpuCount } = resumeSchema.parse(args['input']);
    const bid = bidPerGpu ?? 0;
    if (bid < minBidPerGpu(pod.host.gpu, pod.host.cloud)) throw new Refusal('no-capacity', NO_SPOT);
    pod.usdPerHour = rounded(bid * pod.gpuCount, 4);
    asked.life.start(pod, gpuCount ?? undefined, asked.route);
    asked.life.settle();
    return podView(asked.world, pod);
  }),
  podStop: about((podId, _, asked) => {
    const pod = livingPod(asked, podId);
    asked.life.stop(pod);
    return podView(asked.world, pod);
  }),
  podTerminate: about((podId, _, asked) => {
    terminate(asked.world, asked.life, podId, asked.route);
    return null;
  }),
  podEditJob: about((podId, args, asked) => {
    const pod = livingPod(asked, podId);
    const edit = editSchema.parse(args['input']);
    const { order } = pod;
    pod.order = {
      ...order,
      args: edit.dockerArgs ?? order.args,
      image: edit.imageName ?? order.image,
      env: envOf(edit.env) ?? order.env,
      ports: portsOf(edit.ports) ?? order.ports,
      diskGb: edit.containerDiskInGb ?? order.diskGb,
      volumeGb: edit.volumeInGb ?? order.volumeGb,
      mountPath: edit.volumeMountPath ?? order.mountPath,
      registryId: edit.containerRegistryAuthId ?? order.registryId,
    };
    asked.life.reset(pod);
    return podView(asked.world, pod);
  }),
};

const queries: Readonly<Record<string, Resolver>> = {
  gpuTypes: (args, { world }) => gpuTypesView(world, args),
  dataCenters: (_, { world }) => dataCentersView(world),
  cpuTypes: () => [],
  cpuFlavors: () => CPU_FLAVORS,
  countryCodes: () => [
    ...new Set([...DATA_CENTERS.map(({ country }) => country), ...COMMUNITY_COUNTRIES]),
  ],
  serverlessGpuPools: () => GPU_POOLS,
  podTemplates: (_, { world }) =>
    [...world.templates.values()].filter((one) => one.public).map(templateView),
  podTemplate: (args, asked) => {
    const template = asked.world.templates.get(z.string().parse(args['id']));
    if (template?.public !== true) admit(asked, 'read');
    return template === undefined ? null : templateView(template);
  },
  myself: (_, asked) => {
    if (asked.identity === 'nobody') return null;
    admit(asked, 'read');
    return userView(asked.world, asked.route);
  },
  pod: (args, asked) => {
    const podId = podIdOf(args);
    if (asked.identity === 'nobody') return null;
    admit(asked, 'read', podId);
    const pod = readPod(asked.world, podId, asked.route);
    return pod === undefined ? null : podView(asked.world, pod);
  },
};

/** What stands behind every root field of the schema. */
export const RESOLVERS: Readonly<Record<string, Resolver>> = {
  ...queries,
  ...podMutations,
  ...Object.fromEntries(
    Object.entries(accountMutations).map(([name, resolver]) => [name, writing(resolver)]),
  ),
};
