import { isTerminal } from '../core/job.ts';
import type { PodWithWork } from './list-pods.ts';
import { fetchCall, type Next } from './words.ts';

/** What to do first when coming back: save results, watch what runs, stop paying for what nobody uses. */
export function firstThings(pods: readonly PodWithWork[]): Next {
  const calls: Next = [];
  for (const { jobs, unfetched } of pods) {
    const ended = unfetched.find(({ jobId }) =>
      jobs.some((job) => job.jobId === jobId && isTerminal(job.status)),
    );
    if (ended !== undefined)
      calls.push(fetchCall(ended.jobId, 'The job ended and its results are not home.'));
  }
  for (const { jobs } of pods) {
    const running = jobs.find(({ status }) => !isTerminal(status));
    if (running !== undefined)
      calls.push({
        tool: 'job_wait',
        why: 'See how the running job does.',
        arguments: { jobId: running.jobId },
      });
  }
  for (const pod of pods) {
    calls.push(...firstCalls(pod));
  }
  if (pods.length === 0)
    calls.push({ tool: 'find_offer', why: 'Nothing is rented: look for a machine.' });
  return calls.slice(0, 3);
}

function firstCalls({ podId, status, mode, jobs, unfetched, sessions }: PodWithWork): Next {
  if (mode === 'unmanaged')
    return [
      {
        tool: 'get_pod',
        why: 'Not rented by us: ask the user whose it is before anything else.',
        arguments: { podId },
      },
    ];
  if (mode === 'user_managed') return [];
  const destroy = (why: string): Next[number] => ({ tool: 'destroy', why, arguments: { podId } });
  switch (status) {
    case 'provisioning':
      return [
        {
          tool: 'get_pod',
          why: 'It is still starting.',
          arguments: { podId, waitFor: 'ready', waitSeconds: 40 },
        },
      ];
    case 'failed':
    case 'cleanup_failed':
    case 'destroying':
      return [destroy('It may still be charged: end it with proof.')];
    case 'unreachable':
    case 'unknown':
      return [{ tool: 'diagnose', why: 'It cannot be reached.', arguments: { podId } }];
    case 'ready':
    case 'stopped': {
      if (jobs.length === 0 && sessions.length === 0)
        return [
          ...(status === 'ready'
            ? [
                {
                  tool: 'sync_files',
                  why: 'Nothing was done on it yet: bring the code over (add localPath).',
                  arguments: { podId },
                },
              ]
            : []),
          destroy('Nothing runs on it. Destroy it if the user no longer needs it.'),
        ];
      const isDone = jobs.length > 0 && jobs.every((job) => isTerminal(job.status));
      return isDone && unfetched.length === 0
        ? [destroy('Its work is done and home: stop paying.')]
        : [];
    }
    case 'gone':
      return [];
  }
}
