import type { PodId } from '../core/ids.ts';
import { isTerminal } from '../core/job.ts';
import type { EndedPod } from '../core/left-behind.ts';
import type { Pod, PodStatus } from '../core/pods.ts';
import type { Volume } from '../core/provider.ts';
import type { PodWithWork } from './list-pods.ts';
import { fetchCall, type Next } from './words.ts';

type Step = Next[number];
/** What is done on the pod. Absent where nobody looked for it. */
type Work = Pick<PodWithWork, 'jobs' | 'sessions' | 'unfetched'>;

/** What one does next with a pod in this state: the only place that says so. */
const STEPS: Readonly<Record<PodStatus, (pod: Pod, work: Work | undefined) => Next>> = {
  provisioning: ({ podId, problem }) => [
    wait(podId, 'ready', 'It is still starting: wait until it is ready.'),
    ...(problem === undefined
      ? []
      : [look('diagnose', podId, 'It takes long: see what its boot log says.')]),
  ],
  ready: readySteps,
  stopped: ({ podId, bidUsdPerHour }, work) => [
    ...(work === undefined || isBusy(work) ? [revive(podId, bidUsdPerHour)] : []),
    ...endIfUnused(podId, work),
  ],
  unreachable: unseen,
  unknown: unseen,
  destroying: ({ podId }) => [
    end(podId, 'Its end was ordered but not seen: order it again and see it gone.'),
    wait(podId, 'gone', 'See whether it is gone.'),
  ],
  failed: afterFailure,
  cleanup_failed: ({ podId }) => [
    end(podId, 'It could not be ended and may still be charged: try again.'),
    look('get_pod', podId, 'See what the provider says.'),
  ],
  gone: (pod, work) => [
    ...successor(pod, work),
    ...(work === undefined ? [look('report', pod.podId, 'Read the final report.')] : []),
  ],
};

/** Calls for one pod that somebody looks at; with `work`, only what that leaves to do. Nothing of a stranger is ended. */
export function podNext(pod: Pod, work?: Work): Next {
  const steps = pod.isBeingReplaced === true ? [awaitNext(pod)] : STEPS[pod.status](pod, work);
  return pod.mode === 'managed' ? steps : steps.filter(({ tool }) => tool !== 'destroy');
}

/** What to do first when coming back: end what leaks, save results, watch what runs, stop paying for what nobody uses. */
export function firstThings(
  pods: readonly PodWithWork[],
  volumes: readonly Volume[] = [],
  silent: readonly string[] = [],
  ended: readonly EndedPod[] = [],
): Next {
  const lost = ended.filter((one) => one.lost.length > 0).map(lostReport);
  const left = volumes.filter(({ problem }) => problem !== undefined).map(leftVolume);
  if (pods.length === 0 && silent.length > 0)
    return [
      ...left.slice(0, 1),
      {
        tool: 'list_pods',
        why: `${silent.join(', ')} did not answer: pods there may be charged. Look again before renting.`,
        arguments: {},
      },
      { tool: 'doctor', why: 'See why it does not answer.', arguments: {} },
    ];
  if (pods.length === 0)
    return [
      ...left.slice(0, 2),
      ...lost.slice(0, 1),
      { tool: 'find_offer', why: 'No pod is rented: look for a machine.' },
    ].slice(0, 3);
  const leaking = pods.filter(
    ({ status, mode }) => status === 'cleanup_failed' && mode === 'managed',
  );
  const calls = [
    ...leaking.flatMap((pod) => podNext(pod, pod).slice(0, 1)),
    ...left,
    ...pods.filter(isThere).flatMap(({ jobs, unfetched }) => {
      const isOver = (jobId: string): boolean =>
        jobs.some((job) => job.jobId === jobId && isTerminal(job.status));
      const ended = unfetched.find(({ jobId }) => isOver(jobId));
      return ended === undefined
        ? []
        : [fetchCall(ended.jobId, 'The job ended and its results are not home.')];
    }),
    ...lost.slice(0, 1),
    ...pods.filter(isThere).flatMap(({ jobs }) => {
      const running = jobs.find(({ status }) => !isTerminal(status));
      return running === undefined
        ? []
        : [
            {
              tool: 'job_wait',
              why: 'See how the running job does.',
              arguments: { jobId: running.jobId },
            },
          ];
    }),
    ...pods.filter((pod) => !leaking.includes(pod)).flatMap(firstOf),
  ];
  return calls.slice(0, 3);
}

const isThere = ({ status }: PodWithWork): boolean => status !== 'gone';
/** Nothing can be fetched any more: what is known of it is told. */
const lostReport = ({ podId }: EndedPod): Step =>
  look('report', podId, 'It ended and declared files are not home: tell the user which.');

/** Nobody ever worked on it, and it is charged. */
const leftVolume = ({ volumeId }: Volume): Step => ({
  tool: 'destroy',
  why: 'If it stays listed: a volume of a pod that never became ready.',
  arguments: { podId: volumeId, discardUnfetched: true, reason: 'its pod never became ready' },
});

function firstOf(pod: PodWithWork): Next {
  const { mode, status, podId } = pod;
  if (mode === 'user_managed') return [];
  if (mode === 'unmanaged')
    return [
      look('get_pod', podId, 'Not rented by us: ask the user whose it is before anything else.'),
    ];
  // Of a pod that works there may be two things to do; of any other the first decides the rest.
  return podNext(pod, pod).slice(0, status === 'ready' ? 2 : 1);
}

function readySteps({ podId }: Pod, work: Work | undefined): Next {
  const sync = {
    tool: 'sync_files',
    why: 'Bring the code over: add localPath.',
    arguments: { podId },
  };
  if (work !== undefined) return [...(isBusy(work) ? [] : [sync]), ...endIfUnused(podId, work)];
  return [
    sync,
    { tool: 'session_open', why: 'Open a shell.', arguments: { podId } },
    {
      tool: 'job_start',
      why: 'Start work nobody has to watch: add command.',
      arguments: { podId },
    },
  ];
}

/** A pod whose work is unknown may always be ended, which `destroy` guards; else only when nothing is left to do on it. */
function endIfUnused(podId: PodId, work: Work | undefined): Next {
  if (work === undefined) return [end(podId, 'Stop paying for it, with proof.')];
  if (!isBusy(work))
    return [end(podId, 'Nothing runs on it. Destroy it if the user no longer needs it.')];
  const isDone = work.jobs.length > 0 && work.jobs.every((job) => isTerminal(job.status));
  return isDone && work.unfetched.length === 0
    ? [end(podId, 'Its work is done and home: stop paying.')]
    : [];
}

function afterFailure(pod: Pod, work: Work | undefined): Next {
  const { podId } = pod;
  if (isNeverMade(pod))
    return [
      ...successor(pod, work),
      { tool: 'find_offer', why: 'No machine came of it: choose another offer.' },
    ];
  return [
    ...successor(pod, work),
    end(podId, 'It may still be charged: end it with proof.'),
    look('diagnose', podId, 'See why it failed, with its boot log.'),
  ];
}

/** An order that is over and of which no machine came carries our label for an id: there is nothing to end. */
export const isNeverMade = ({ podId, mode, usdPerHour, spentUsd }: Pod): boolean =>
  mode === 'managed' && /^[a-z]+:gl-/.test(podId) && usdPerHour !== 0 && spentUsd === 0;

function unseen({ podId }: Pod): Next {
  return [
    look('diagnose', podId, 'It cannot be reached: find out what is wrong.'),
    look('get_pod', podId, 'Look again.'),
  ];
}

/** What was outbid comes back by a higher bid; a start alone would only queue. */
function revive(podId: PodId, bidUsdPerHour: number | undefined): Step {
  return bidUsdPerHour === undefined
    ? {
        tool: 'update_pod',
        why: 'Start it again; its disk may be charged while it is stopped.',
        arguments: { podId, action: 'start' },
      }
    : {
        tool: 'update_pod',
        why: `If it was outbid: add a bidUsdPerHour above ${bidUsdPerHour}, which the user chooses.`,
        arguments: { podId },
      };
}

/** Another pod was rented in its place: that is where to go on. In a list it stands for itself. */
function successor({ replacedBy }: Pod, work: Work | undefined): Next {
  return replacedBy === undefined || work !== undefined
    ? []
    : [wait(replacedBy, 'ready', 'Another pod took its place: go on with that one.')];
}

/** What was agreed goes on by itself: the failed one is ended, and the next candidate rented. */
const awaitNext = ({ podId }: Pod): Step =>
  wait(podId, 'ready', 'Another takes its place, as agreed: wait for it. destroy calls that off.');
const isBusy = ({ jobs, sessions }: Work): boolean => jobs.length > 0 || sessions.length > 0;
const look = (tool: string, podId: PodId, why: string): Step => ({
  tool,
  why,
  arguments: { podId },
});
const end = (podId: PodId, why: string): Step => look('destroy', podId, why);
const wait = (podId: PodId, waitFor: 'ready' | 'gone', why: string): Step => ({
  tool: 'get_pod',
  why,
  arguments: { podId, waitFor, waitSeconds: 40 },
});
