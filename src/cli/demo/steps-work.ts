import { randomInt } from 'node:crypto';
import { processesMentioning } from './leftovers.ts';
import { cancelResult, startResult, syncResult, waitResult, writeResult } from './results.ts';
import { check, type Day, type Step } from './step.ts';

export const EXAMPLE = 'tiny-lm';
export const TICKS = 30;
/** Paced, so that on any machine the training outlives the crash: at least 13 s. */
const STEPS = 600;
const TRAIN = `node train.mjs --steps ${STEPS} --pace 22 --out runs/demo`;
const WAIT_ROUNDS = 12;
const ARTIFACTS = ['final.safetensors', 'metrics.jsonl', 'summary.json', 'sample.txt'];

/** Code over, job running. */
export const WORK_STEPS: readonly Step[] = [
  {
    title: 'Bring the project over, twice',
    run: async (day: Day): Promise<void> => {
      const request = { podId: day.recall('podId'), localPath: EXAMPLE, remotePath: EXAMPLE };
      const first = await day.call('sync_files', request, syncResult);
      check(first.sent.files > 0 && first.verified, 'every file arrives and hashes equal');
      const second = await day.call('sync_files', request, syncResult);
      check(second.sent.files === 0, 'the second time nothing is sent');
      check(second.unchanged.files === first.sent.files, 'the second time all is found unchanged');
      day.say(`${first.sent.files} files sent and verified; the second time 0`);
    },
  },
  {
    title: 'Cancel something, and look whether it is dead',
    run: async (day: Day): Promise<void> => {
      // A number of seconds that no other process sleeps for, so that it can be found.
      const sleep = `sleep ${randomInt(800_000, 900_000)}`;
      const { jobId } = await day.call(
        'job_start',
        {
          podId: day.recall('podId'),
          name: 'sleeper',
          command: `${sleep} & ${sleep}`,
          maxRuntimeMinutes: 5,
        },
        startResult,
      );
      const { status } = await day.call('job_cancel', { jobId }, cancelResult);
      check(status === 'cancelled', 'the job is cancelled');
      const left = await processesMentioning(sleep, 'command');
      check(left.length === 0, 'no process of the cancelled job is left');
      day.held(6, 'the job and its background child were looked for and are gone');
    },
  },
  {
    title: 'Start the training',
    run: async (day: Day): Promise<void> => {
      const { jobId } = await day.call(
        'job_start',
        {
          podId: day.recall('podId'),
          name: EXAMPLE,
          cwd: EXAMPLE,
          command: TRAIN,
          smokeCommand: 'node train.mjs --smoke',
          artifacts: ARTIFACTS.map((name) => `runs/demo/${name}`),
          maxRuntimeMinutes: 10,
        },
        startResult,
      );
      day.remember('jobId', jobId);
      day.remember('logOffset', '0');
    },
  },
  {
    title: 'Watch it for a moment',
    run: async (day: Day): Promise<void> => {
      for (let round = 0; round < WAIT_ROUNDS; round += 1) {
        const { status, output } = await waitForJob(day, 3);
        check(['bootstrapping', 'running'].includes(status), `the job runs (it is ${status})`);
        if (output.includes(`/${STEPS} loss`)) return;
      }
      check(false, 'the training prints its first step within half a minute');
    },
  },
  {
    title: 'Leave something running in the shell, too',
    run: async (day: Day): Promise<void> => {
      const loop = `i=1; while [ $i -le ${TICKS} ]; do echo "tick $i"; i=$((i+1)); sleep 0.2; done`;
      const { done, offset } = await day.call(
        'session_write',
        { sessionId: day.recall('sessionId'), input: loop, waitSeconds: 1 },
        writeResult,
      );
      check(!done, 'the loop is still running when the call returns');
      day.remember('ticksFrom', String(offset));
    },
  },
];

/** One look at the job; shows its newest line and remembers where to read on. */
export async function waitForJob(
  day: Day,
  waitSeconds: number,
): Promise<ReturnType<typeof waitResult.parse>> {
  const answer = await day.call(
    'job_wait',
    { jobId: day.recall('jobId'), waitSeconds, offset: Number(day.recall('logOffset')) },
    waitResult,
  );
  day.remember('logOffset', String(answer.nextOffset));
  const newest = answer.output.trim().split('\n').at(-1) ?? '';
  if (newest !== '') day.say(newest);
  return answer;
}
