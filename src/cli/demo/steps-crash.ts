import { isTerminal, jobStatusSchema } from '../../core/job.ts';
import { listResult, readResult, writeResult } from './results.ts';
import { check, type Day, ExpectationError, type Step } from './step.ts';
import { TICKS, waitForJob } from './steps-work.ts';

const LONGEST_TRAINING_SECONDS = 120;
const MOST_PAGES = 60;

/** The server dies in the middle; nothing else does. */
export const CRASH_STEPS: readonly Step[] = [
  {
    title: 'kill -9 the server in the middle of a call',
    run: async (day: Day): Promise<void> => {
      const { server } = day;
      // Waits for a text that never comes, so that it is certainly in flight.
      const waiting = {
        sessionId: day.recall('sessionId'),
        until: 'never printed',
        waitSeconds: 40,
      };
      const pending = server.call('session_read', waiting, { signal: day.signal }).then(
        () => 'answered',
        () => 'lost',
      );
      await day.clock.sleep(0.5, { signal: day.signal });
      await server.kill();
      check((await pending) === 'lost', 'the call dies with the server');
      day.say(`process ${server.pid} is dead; the job and the shell have nobody to watch them`);
      await day.clock.sleep(1, { signal: day.signal });
    },
  },
  {
    title: 'A new server: where was I?',
    run: async (day: Day): Promise<void> => {
      await day.restart();
      const { pods } = await day.call('list_pods', {}, listResult);
      const pod = pods.find(({ podId }) => podId === day.recall('podId'));
      check(pod !== undefined, 'the new server finds the pod');
      check(pods.length === 1, 'there is exactly one pod');
      check(JSON.stringify(pod.jobs).includes(day.recall('jobId')), 'it knows the job');
      check(JSON.stringify(pod.sessions).includes(day.recall('sessionId')), 'it knows the session');
      day.held(2, 'the pod, its job and its shell were found again after kill -9');
    },
  },
  {
    title: 'The same shell, every byte once',
    run: async (day: Day): Promise<void> => {
      const text = await readAllTicks(day);
      const ticks = [...text.matchAll(/^tick (\d+)\r?$/gm)].map(([, number]) => Number(number));
      const wanted = Array.from({ length: TICKS }, (_, index) => index + 1);
      check(ticks.join() === wanted.join(), `ticks 1 to ${TICKS} are there, each once, in order`);
      const seen = await day.call(
        'session_write',
        {
          sessionId: day.recall('sessionId'),
          input: 'pwd; echo "flavour $FLAVOUR"',
          waitSeconds: 15,
        },
        writeResult,
      );
      check(seen.done && seen.output.includes(day.recall('shellFolder')), 'the folder is kept');
      check(seen.output.includes('flavour green'), 'the variable is kept');
      day.held(8, `ticks 1 to ${TICKS} read by byte offset across the crash, each exactly once`);
    },
  },
  {
    title: 'The training went on alone; wait for its end',
    run: async (day: Day): Promise<void> => {
      const began = day.clock.now().getTime();
      for (;;) {
        const { status, exitCode } = await waitForJob(day, 10);
        if (isTerminal(jobStatusSchema.parse(status))) {
          check(
            status === 'completed' && exitCode === 0,
            `the training succeeds (it is ${status})`,
          );
          day.held(7, 'it ran through the crash and ended with exit code 0');
          return;
        }
        const seconds = (day.clock.now().getTime() - began) / 1000;
        check(seconds < LONGEST_TRAINING_SECONDS, 'the training ends in time');
      }
    },
  },
];

/** Pages from the offset that the dead server had given out, until the loop has ended and the shell is idle again. */
async function readAllTicks(day: Day): Promise<string> {
  let offset = Number(day.recall('ticksFrom'));
  let text = '';
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer = await day.call(
      'session_read',
      {
        sessionId: day.recall('sessionId'),
        offset,
        waitSeconds: 10,
        ...(page === 0 ? { until: `tick ${TICKS}` } : {}),
      },
      readResult,
    );
    check(answer.offset === offset, 'a page starts at the offset that was asked for');
    text += answer.output;
    offset = answer.nextOffset;
    if (answer.state === 'idle' && !answer.hasMore) return text;
  }
  throw new ExpectationError('the loop in the shell ends in time');
}
