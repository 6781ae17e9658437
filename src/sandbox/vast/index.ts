import type { CloudMaker } from '../sandbox.ts';
import { createVastCloud } from './cloud.ts';
import { VAST_FAULTS } from './fault-kinds.ts';

/** The line of the fake Vast.ai in the sandbox's list of clouds. */
export const vastCloud: CloudMaker = {
  name: 'vast',
  faultKinds: VAST_FAULTS,
  make: createVastCloud,
};
