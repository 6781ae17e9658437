import type { CloudMaker } from '../sandbox.ts';
import { createLambdaCloud } from './cloud.ts';
import { LAMBDA_FAULTS } from './fault-kinds.ts';

/** The line of the fake Lambda Cloud in the sandbox's list of clouds. */
export const lambdaCloud: CloudMaker = {
  name: 'lambda',
  faultKinds: LAMBDA_FAULTS,
  make: createLambdaCloud,
};
