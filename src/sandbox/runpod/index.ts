import type { CloudMaker } from '../sandbox.ts';
import { createRunpodCloud } from './cloud.ts';
import { RUNPOD_FAULTS } from './fault-kinds.ts';

/** The line of the fake RunPod in the sandbox's list of clouds. */
export const runpodCloud: CloudMaker = {
  name: 'runpod',
  faultKinds: RUNPOD_FAULTS,
  make: createRunpodCloud,
};
