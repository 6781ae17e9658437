import { z } from 'zod';
import type { Clock } from '../core/call.ts';
import { count } from '../core/count.ts';
import type { ArtifactRecord } from '../core/files.ts';
import { jobIdSchema, podIdOfProfile, providerNameSchema, sessionIdSchema } from '../core/ids.ts';
import { isTerminal, type Job, jobStatusSchema } from '../core/job.ts';
import type { EndedPod } from '../core/left-behind.ts';
import { type Pod, podSchema } from '../core/pods.ts';
import { type SessionRecord, sessionStateSchema } from '../core/session.ts';
import { sessionsNow } from '../core/session-states.ts';
import { unfetchedOf } from '../core/unfetched.ts';
import { endedSummary, limitWords, watcherWords } from './list-words.ts';
import { firstThings } from './pod-next.ts';
import { briefPod, renderPod } from './pod-text.ts';
import { defineTool, resultShape, type ToolContext } from './tool.ts';
import { shownVolume, volumeLine, volumeSchema, volumeWords } from './volume-text.ts';
import { lines, list, oneLine, renderResult, usd } from './words.ts';

/** A look at jobs must not hold up the list. */
const REFRESH_LIMIT_MS = 8_000;
const MOST_PER_POD = 10;

const podWithWorkSchema = podSchema
  .extend({
    sessions: z.array(z.object({ sessionId: sessionIdSchema, state: sessionStateSchema })),
    jobs: z.array(
      z.object({
        jobId: jobIdSchema,
        name: z.string(),
        status: jobStatusSchema,
        exitCode: z.int().exactOptional(),
        observedAt: z.string().exactOptional(),
      }),
    ),
    unfetched: z.array(z.object({ jobId: jobIdSchema, path: z.string() })),
  })
  .describe('As in get_pod, with sessions, jobs, unfetched.');
export type PodWithWork = z.output<typeof podWithWorkSchema>;

export const listPods = defineTool({
  name: 'list_pods',
  title: 'List pods: where was I?',
  description:
    "Where was I? All GPU pods (instances) over all clouds, rented or the user's own, with their shell sessions, jobs and artifacts not home yet, volumes, hourly burn rate, spend, balances, orphans and machines we do not manage. Call it first after a restart or when unsure. Free. Its `next` says what to do first.",
  effect: 'read',
  input: z.strictObject({
    provider: providerNameSchema.exactOptional(),
    includeEnded: z.boolean().default(false).describe('Also pods that are gone.'),
  }),
  output: z.object({
    pods: z.array(podWithWorkSchema),
    providers: z.array(
      z.object({
        provider: providerNameSchema,
        ok: z.boolean(),
        error: z.string().exactOptional(),
        balanceUsd: z.number().exactOptional(),
      }),
    ),
    volumes: z.array(volumeSchema).exactOptional(),
    usdPerHour: z.number(),
    spentUsd: z.number(),
    ...resultShape,
  }),
  async handle(request, context) {
    const { pods, profiles, sessions, artifacts, watcher, signal, progress } = context;
    const [listed, machines, allSessions, records, watched] = await Promise.all([
      pods.list(request, { signal, progress }),
      profiles.list(),
      sessions.list(),
      artifacts.list(),
      watcher?.status(),
    ]);
    const { ended = [] } = listed;
    const known = new Set(listed.pods.map(({ podId }) => podId));
    const own =
      request.provider === undefined || request.provider === 'ssh'
        ? machines
            .map(({ profileId }) => userPod(profileId, podIdOfProfile(profileId)))
            .filter(({ podId }) => !known.has(podId))
        : [];
    const all = await Promise.all(
      [...listed.pods, ...own].map(async (pod) => {
        const [jobs, shells] = await Promise.all([
          jobsOf(pod, context),
          sessionsNow(
            sessions,
            pod.podId,
            allSessions.filter(({ podId }) => podId === pod.podId),
            mayAnswer(pod),
            { signal, progress },
          ),
        ]);
        const seen = seenThrough(pod, jobs, shells, context.clock);
        const lost = ended.find(({ podId }) => podId === pod.podId)?.lost ?? [];
        return withWork(seen, jobs, shells, records, lost);
      }),
    );
    const volumes = listed.volumes ?? [];
    const failed = listed.providers.filter(({ ok }) => !ok);
    const alive = all.filter(({ status }) => status !== 'gone');
    const unseen = alive.filter(isUnseen).length;
    const followed = all.filter(({ isBeingReplaced }) => isBeingReplaced === true).length;
    const strange = all.filter(({ mode }) => mode === 'unmanaged').length;
    const summary = [
      `${count(alive.length - unseen, 'pod')}, burning ${usd(listed.usdPerHour)}/h; ${usd(listed.spentUsd)} spent.`,
      unseen > 0 &&
        `Beside them ${count(unseen, 'saved profile')} of the user's own machines, not seen running.`,
      followed > 0 && `${count(followed, 'failed pod')} being replaced, as agreed.`,
      volumes.length > 0 && volumeWords(volumes),
      endedSummary(ended),
      strange > 0 && `${count(strange, 'machine')} not rented by us (unmanaged).`,
      failed.length > 0 &&
        `No answer from ${failed.map(({ provider }) => provider).join(', ')}: their pods may be missing here.`,
      listed.limits !== undefined && limitWords(listed.limits),
      watcherWords(watched),
    ];
    return {
      pods: all,
      providers: listed.providers.map(({ provider, ok, error, balanceUsd }) => ({
        provider,
        ok,
        ...(error === undefined ? {} : { error }),
        ...(balanceUsd === undefined ? {} : { balanceUsd }),
      })),
      ...(listed.volumes === undefined ? {} : { volumes: volumes.map(shownVolume) }),
      usdPerHour: listed.usdPerHour,
      spentUsd: listed.spentUsd,
      summary: summary.filter((part) => part !== false).join(' '),
      next: firstThings(
        all,
        volumes,
        failed.map(({ provider }) => provider),
        ended,
      ),
    };
  },
  render(result) {
    return renderResult(
      result,
      ...result.pods.map((pod) =>
        lines(
          renderPod(pod),
          list(pod.sessions.map(({ sessionId, state }) => `session ${sessionId}: ${state}`)),
          list(
            pod.jobs.map(
              ({ jobId, name, status, exitCode, observedAt }) =>
                `job ${jobId} "${oneLine(name, 80)}": ${status}${exitCode === undefined ? '' : `, exit code ${exitCode}`}${isTerminal(status) || observedAt === undefined ? '' : `, seen ${observedAt}`}`,
            ),
          ),
          list(pod.unfetched.map(({ jobId, path }) => `not home: ${path} of ${jobId}`)),
        ),
      ),
      result.volumes !== undefined && list(result.volumes.map(volumeLine)),
      list(
        result.providers.map(
          ({ provider, ok, error, balanceUsd }) =>
            `${provider}: ${ok ? 'ok' : `failed, ${error ?? 'no answer'}`}${balanceUsd === undefined ? '' : `, balance ${usd(balanceUsd)}`}`,
        ),
      ),
    );
  },
});

/** A machine of the user that nobody has reached for this list: a profile, not a pod that is known to run. */
const isUnseen = ({ mode, status }: Pod): boolean => mode === 'user_managed' && status !== 'ready';

const userPod = (profileId: string, podId: Pod['podId']): Pod => ({
  podId,
  name: profileId,
  provider: 'ssh',
  mode: 'user_managed',
  status: 'unknown',
});

/** A machine of the user is not called on without need; when its jobs or shells were just looked at, that says how it is. */
function seenThrough(
  pod: Pod,
  jobs: readonly Job[],
  shells: readonly SessionRecord[],
  clock: Clock,
): Pod {
  if (pod.mode !== 'user_managed' || pod.status !== 'unknown') return pod;
  const isFresh = ({ observedAt }: Job): boolean =>
    observedAt !== undefined &&
    Math.abs(clock.now().getTime() - Date.parse(observedAt)) <= REFRESH_LIMIT_MS * 2;
  const answered = jobs.find((job) => job.status !== 'running_unreachable' && isFresh(job));
  if (answered?.observedAt !== undefined)
    return { ...pod, status: 'ready', observedAt: answered.observedAt };
  if (shells.some(({ state }) => state === 'idle' || state === 'busy'))
    return { ...pod, status: 'ready', observedAt: clock.now().toISOString() };
  return jobs.some(({ status }) => status === 'running_unreachable')
    ? { ...pod, status: 'unreachable' }
    : pod;
}

const mayAnswer = ({ status, mode }: Pod): boolean =>
  status === 'ready' || (mode === 'user_managed' && status === 'unknown');

/** Records of the jobs; unfinished ones of a pod that may answer are looked at once, for a limited time. */
async function jobsOf(pod: Pod, context: ToolContext): Promise<readonly Job[]> {
  const { jobs, signal, progress } = context;
  const { podId } = pod;
  const records = await jobs.list(podId);
  if (!mayAnswer(pod) || records.every((job) => isTerminal(job.status))) return records;
  const limit = AbortSignal.any([signal, AbortSignal.timeout(REFRESH_LIMIT_MS)]);
  try {
    const fresh = new Map(
      (await jobs.refresh(podId, { signal: limit, progress })).map((job) => [job.jobId, job]),
    );
    return records.map((job) => fresh.get(job.jobId) ?? job);
  } catch (failure) {
    if (signal.aborted) throw failure;
    return records;
  }
}

function withWork(
  pod: Pod,
  jobs: readonly Job[],
  shells: readonly SessionRecord[],
  records: readonly ArtifactRecord[],
  lost: EndedPod['lost'],
): PodWithWork {
  const unfetched =
    pod.status === 'gone'
      ? lost.flatMap(({ jobId, path }) => (jobId === undefined ? [] : [{ jobId, path }]))
      : unfetchedOf(jobs, records);
  return {
    ...briefPod(pod),
    sessions: shells
      .filter(({ state }) => state !== 'closed')
      .slice(0, MOST_PER_POD)
      .map(({ sessionId, state }) => ({ sessionId, state })),
    jobs: jobs.slice(0, MOST_PER_POD).map(({ jobId, name, status, exitCode, observedAt }) => ({
      jobId,
      name,
      status,
      ...(exitCode === undefined ? {} : { exitCode }),
      ...(observedAt === undefined ? {} : { observedAt }),
    })),
    unfetched: unfetched.slice(0, MOST_PER_POD * 2),
  };
}
