import type { Step } from './step.ts';
import { CRASH_STEPS } from './steps-crash.ts';
import { HOME_STEPS } from './steps-home.ts';
import { RENT_STEPS } from './steps-rent.ts';
import { WORK_STEPS } from './steps-work.ts';

/** An agent's working day, in order. */
export const DAY: readonly Step[] = [...RENT_STEPS, ...WORK_STEPS, ...CRASH_STEPS, ...HOME_STEPS];
