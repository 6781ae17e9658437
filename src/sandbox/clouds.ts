import { lambdaCloud } from './lambda/index.ts';
import { runpodCloud } from './runpod/index.ts';
import type { CloudMaker } from './sandbox.ts';
import { vastCloud } from './vast/index.ts';

/** The one list of made-up clouds; each gets an origin of its own. */
export const CLOUDS: readonly CloudMaker[] = [vastCloud, runpodCloud, lambdaCloud];
