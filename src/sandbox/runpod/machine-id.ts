import type { Pod } from './pod.ts';
import type { World } from './world.ts';

export const machineIdOf = (world: World, { id, machineRun }: Pod): string =>
  `${world.options.machinePrefix}${id}${machineRun === 0 ? '' : `-${machineRun}`}`;
