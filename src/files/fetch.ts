import { lstat, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CallOptions } from '../core/call.ts';
import { count } from '../core/count.ts';
import { ConfigError, InputError } from '../core/errors.ts';
import type { FetchRequest, FetchResult } from '../core/files.ts';
import { providerOf, randomToken } from '../core/ids.ts';
import { isTerminal } from '../core/job.ts';
import { KeyedLock } from '../core/keyed-lock.ts';
import { bringHome } from './bring-home.ts';
import type { FilesDeps } from './deps.ts';
import { withFreshness } from './freshness.ts';
import { openHomeCache } from './home-cache.ts';
import { listPod, lookFor, type Wanted } from './manifest.ts';
import { checkLanding } from './may-land.ts';
import { relativePattern, startsOf } from './patterns.ts';
import { again, openPod, type Pod } from './pod.ts';
import { changedAt, type RemoteEntry } from './pod-listing.ts';
import { sourceOf } from './pod-source.ts';
import { type Fetched, keepRecords, proveFiles, whatWasSeen } from './records.ts';
import { refusedOf, refuseNothing } from './refused.ts';
import { podFolders } from './remote-folder.ts';
import { DEFAULT_EXCLUDES } from './rules.ts';
import { createSentBefore, type SentBefore } from './sent.ts';
import { totalBytes } from './sync-plan.ts';
import { resolveDestination } from './workspace.ts';

const MAX_LISTED = 200;

/** Pod to local folder: manifest first, pulled aside, hashed, opened, then renamed into place and recorded. */
export function createFetch(
  deps: FilesDeps,
): (request: FetchRequest, options: CallOptions) => Promise<FetchResult> {
  const lock = new KeyedLock();
  const sentBefore = createSentBefore(deps.home);
  return async (request, options) => {
    const destination = await resolveDestination(deps.workspace, request.localPath);
    await refuseFile(destination);
    return lock.run(destination, async () =>
      fetchOnce(deps, sentBefore, request, destination, options),
    );
  };
}

/** What comes home keeps its own names, below a folder. */
async function refuseFile(destination: string): Promise<void> {
  const stats = await lstat(destination).catch(() => undefined);
  if (stats !== undefined && !stats.isDirectory())
    throw new InputError('invalid_input', 'localPath is a file; a folder is needed.', {
      hint: 'Name a folder (it is made): each file keeps its path on the pod below it.',
    });
}

async function fetchOnce(
  deps: FilesDeps,
  sentBefore: SentBefore,
  request: FetchRequest,
  destination: string,
  options: CallOptions,
): Promise<FetchResult> {
  const pod = openPod(deps.remote, request.podId, options, deps);
  const wanted = await whatIsWanted(deps, pod, request);
  const shared = {
    podId: request.podId,
    ...(request.jobId === undefined ? {} : { jobId: request.jobId }),
    dryRun: request.dryRun,
  };
  if (request.dryRun) {
    const [found, all] = await Promise.all([lookFor(pod, wanted), listAll(pod, wanted)]);
    refuseNothing(found, wanted.patterns, request.strict);
    const files = found.files.map((file) => ({
      path: file.path,
      localPath: path.join(destination, file.path),
      bytes: file.bytes,
      sha256: '',
      proof: 'exists' as const,
    }));
    return {
      ...shared,
      manifest: listed(wanted.root, files),
      missing: [...found.missing],
      ...(await leftOf(sentBefore, pod, all, wanted, found.files)),
      ...refusedOf(found, wanted.patterns, MAX_LISTED),
    };
  }

  options.progress?.('Listing the files on the pod.');
  const fetchedAt = deps.clock.now().toISOString();
  const [seen, all] = await Promise.all([lookFor(pod, wanted), listAll(pod, wanted)]);
  refuseNothing(seen, wanted.patterns, request.strict);
  const left = await leftOf(sentBefore, pod, all, wanted, seen.files);
  await checkLanding(destination, seen.files);
  const place = { podId: request.podId, root: wanted.root, destination };
  const cache = await openHomeCache({ home: deps.home, clock: deps.clock, ...place });
  const home = await bringHome(deps, pod, wanted, seen, cache, place, request.strict);

  options.progress?.(`Opening ${count(home.files.length, 'file')}.`);
  const limit = request.verify === 'load' ? 'loaded' : request.verify;
  const proven = await proveFiles(destination, home.files, limit, options.signal, (name) =>
    home.untouched.has(name) ? cache.verdict(name, limit) : undefined,
  );
  const verdicts = new Map(
    proven.map(({ path: name, proof, problem }) => [
      name,
      { proof, ...(problem === undefined ? {} : { problem }) },
    ]),
  );
  await cache.save(
    home.files.map((file) => ({ ...file, verdict: verdicts.get(file.path) ?? { proof: 'hash' } })),
    { ...options, limit, nowSeconds: home.nowSeconds },
  );
  // Of this job and this moment: no verdict on the bytes, which are remembered.
  const times = { sinceSeconds: wanted.sinceSeconds, nowSeconds: home.nowSeconds };
  const fresh = await withFreshness(proven, home.files, times);
  const { stale } = fresh;
  const files = fresh.files.map((file) => {
    const keptAs = home.kept.get(file.path);
    return keptAs === undefined ? file : { ...file, keptAs };
  });
  const seenThere = whatWasSeen(request, wanted.patterns, home);
  await keepRecords(deps, request, wanted.root, files, { fetchedAt, stale, ...seenThere });
  return {
    ...shared,
    manifest: {
      ...listed(wanted.root, files),
      manifestPath: await writeManifest(deps, request, wanted.root, files),
    },
    missing: [...home.missing],
    ...left,
    ...refusedOf(home, wanted.patterns, MAX_LISTED),
    ...(home.kept.size === 0 ? {} : { kept: home.kept.size }),
  };
}

/** What is asked for, and where and since when to look for what was not. */
type Asked = Wanted & { readonly places: readonly string[]; readonly sinceSeconds: number };

async function whatIsWanted(deps: FilesDeps, pod: Pod, request: FetchRequest): Promise<Asked> {
  const exclude = request.exclude;
  if (request.jobId === undefined) {
    if (request.paths.length === 0)
      throw new InputError('invalid_input', 'paths is empty, so nothing was asked for.', {
        hint: 'Name paths below the work folder, or a jobId with declared artifacts.',
      });
    const named = await again(deps.clock, pod.call, ['link_lost'], async () =>
      deps.remote.workFolder(request.podId, pod.call),
    );
    // The root keeps the name that jobs know it by; a caller may also say its real path.
    const isElsewhere = request.paths.some(
      (item) => item.startsWith('/') && !item.startsWith(`${named}/`),
    );
    const work = isElsewhere ? (await podFolders(pod)).work : named;
    const patterns = request.paths.map((item) =>
      relativePattern(item.startsWith(`${work}/`) ? work : named, item),
    );
    // The home of a user's machine holds their life, not what we left there.
    const places = providerOf(request.podId) === 'ssh' ? startsOf(patterns) : [''];
    return { root: named, patterns, exclude, places, sinceSeconds: 0 };
  }
  const job = await deps.jobs.get(request.jobId);
  // The end is noted before the manifest is made: only what is fetched after it is known to be all.
  if (!isTerminal(job.status)) await deps.jobs.refresh(request.podId, pod.call);
  if (job.podId !== request.podId)
    throw new InputError('invalid_input', 'This job belongs to another pod.');
  const asked = request.paths.length > 0 ? request.paths : job.artifacts;
  if (asked.length === 0)
    throw new InputError('invalid_input', 'The job declared no artifacts and paths is empty.', {
      hint: 'Name paths relative to the job folder. Use dryRun with paths ["."] to see what is there.',
    });
  const patterns = asked.map((item) => relativePattern(job.cwd, item));
  const { startedAt } = job;
  // By the clock of the pod, as the files. What was there before it began, its sources above all, it did not make.
  const sinceSeconds = startedAt === undefined ? 0 : Math.floor(Date.parse(startedAt) / 1000);
  return { root: job.cwd, patterns, exclude, places: [''], sinceSeconds };
}

async function listAll(pod: Pod, { root, places }: Asked): Promise<readonly RemoteEntry[]> {
  return (await listPod(pod, root, places, DEFAULT_EXCLUDES)).entries;
}

async function leftOf(
  sentBefore: SentBefore,
  pod: Pod,
  entries: readonly RemoteEntry[],
  { root, sinceSeconds }: Asked,
  fetched: readonly { readonly path: string; readonly source?: string }[],
): Promise<Pick<FetchResult, 'leftOnPod' | 'left'>> {
  const taken = new Set(fetched.map(sourceOf));
  const untaken = entries
    .filter((entry) => entry.kind === 'file' && !taken.has(entry.path))
    .filter(({ stamp }) => changedAt(stamp) >= sinceSeconds);
  const sent = await sentBefore(pod, root, untaken);
  const left = untaken.filter(({ path: name }) => !sent.has(name));
  return {
    leftOnPod: left
      .toSorted((a, b) => b.bytes - a.bytes)
      .slice(0, MAX_LISTED)
      .map(({ path: name, bytes }) => ({ path: name, bytes })),
    left: left.length,
  };
}

/** Files with a problem first, then those in whose place something else stood; the whole list is in the manifest file. */
function listed(root: string, files: readonly Fetched[]): FetchResult['manifest'] {
  const broken = files.filter((file) => file.problem !== undefined);
  const whole = files.filter((file) => file.problem === undefined);
  const kept = whole.filter((file) => file.keptAs !== undefined);
  const rest = whole.filter((file) => file.keptAs === undefined);
  return {
    root,
    files: [...broken, ...kept, ...rest].slice(0, MAX_LISTED),
    totalFiles: files.length,
    totalBytes: totalBytes(files),
  };
}

async function writeManifest(
  deps: FilesDeps,
  request: FetchRequest,
  root: string,
  files: readonly Fetched[],
): Promise<string> {
  const folder = path.join(deps.home, 'manifests');
  const at = deps.clock.now().toISOString();
  const file = path.join(folder, `${at.replaceAll(/[:.]/g, '-')}-${randomToken(8)}.json`);
  const { podId, jobId } = request;
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await writeFile(file, JSON.stringify({ podId, jobId, root, at, files }, null, 1), {
      mode: 0o600,
    });
  } catch (cause) {
    throw new ConfigError(
      'state_unwritable',
      `The files are home and proven, but their manifest could not be written in ${folder}.`,
      { cause, hint: 'Free space there or make it writable, then call again: little is repeated.' },
    );
  }
  return file;
}
