import type { Clock } from '../core/call.ts';
import { isAppError, RemoteError } from '../core/errors.ts';
import { quoteForeign } from '../core/untrusted.ts';
import { isCompressible } from './compressible.ts';
import { checkLanded, checkLanding, landFiles, quarantine, removeFolder } from './land.ts';
import { withLocalFailures } from './local-failure.ts';
import { type Manifest, type ManifestFile, makeManifest, type Wanted } from './manifest.ts';
import type { Pod } from './pod.ts';
import { type Pulled, pullFiles } from './pull.ts';
import { amountOf, totalBytes } from './sync-plan.ts';

const ATTEMPTS = 3;
const RETRY_SECONDS = 5;

/**
 * Pulls `absent` and lands them together: a failure before that changes nothing below the destination. When the pod's
 * files changed under us the manifest is made once more. Answers the manifest that is home now.
 */
export async function bringHome(
  clock: Clock,
  pod: Pod,
  wanted: Wanted,
  manifest: Manifest,
  absent: readonly ManifestFile[],
  folders: { readonly destination: string; readonly partialFolder: string },
): Promise<Manifest> {
  let current = manifest;
  let files = absent;
  for (let round = 0; ; round += 1) {
    pod.call.progress?.(`Fetching ${amountOf(files)}.`);
    const outcome = await tryPull(clock, pod, wanted.root, files, folders.partialFolder);
    if (outcome.failure === undefined) break;
    const again = round === 0 ? await makeManifest(pod, wanted) : current;
    const known = new Map(current.files.map((file) => [file.path, file.sha256]));
    const changed = again.files.filter((file) => known.get(file.path) !== file.sha256);
    const kept = new Set(again.files.map((file) => file.path));
    const vanished = current.files.some((file) => !kept.has(file.path));
    if (changed.length === 0 && !vanished) {
      if (outcome.bad.length > 0) {
        const folder = await quarantine(folders.destination, folders.partialFolder, outcome.bad);
        throw mismatch(outcome.bad, folder);
      }
      throw outcome.failure;
    }
    const untouched = new Set(absent.map((file) => file.path));
    files = again.files.filter(
      (file) => untouched.has(file.path) || known.get(file.path) !== file.sha256,
    );
    current = again;
    await checkLanding(folders.destination, files);
  }
  await withLocalFailures(async () => landFiles(folders.destination, folders.partialFolder, files));
  await removeFolder(folders.partialFolder);
  await checkLanded(folders.destination, files, pod.call.signal);
  return current;
}

interface Outcome {
  readonly bad: readonly ManifestFile[];
  readonly failure?: Error;
}

/** A broken link is tried again, from where it broke. */
async function tryPull(
  clock: Clock,
  pod: Pod,
  root: string,
  files: readonly ManifestFile[],
  partialFolder: string,
): Promise<Outcome> {
  const unique = [...new Map(files.map((file) => [file.sha256, file])).values()];
  const options = { partialFolder, zip: await hasGzip(pod, unique) };
  for (let attempt = 1; ; attempt += 1) {
    const pulled = await pullFiles(pod, root, unique, options).catch((thrown: unknown) => thrown);
    if (isPulled(pulled)) {
      if (pulled.bad.length + pulled.short.length === 0) return { bad: [] };
      return {
        bad: pulled.bad,
        failure: new RemoteError(
          'checksum_mismatch',
          `${pulled.bad.length} files arrived altered and ${pulled.short.length} did not arrive whole. Nothing was written.`,
        ),
      };
    }
    if (!isAppError(pulled)) throw pulled;
    if (pulled.code === 'unsafe_archive') {
      await removeFolder(partialFolder);
      return { bad: [], failure: pulled };
    }
    const broken = ['link_lost', 'ssh_unreachable'].includes(pulled.code);
    if (!broken || attempt === ATTEMPTS) throw pulled;
    pod.call.progress?.('The link broke; going on from where it broke.');
    await clock.sleep(RETRY_SECONDS, pod.call);
  }
}

function isPulled(outcome: unknown): outcome is Pulled {
  return typeof outcome === 'object' && outcome !== null && 'good' in outcome;
}

async function hasGzip(pod: Pod, files: readonly ManifestFile[]): Promise<boolean> {
  if (!isCompressible(files) || totalBytes(files) < 64 << 10) return false;
  const { exitCode } = await pod.run('command -v gzip >/dev/null 2>&1\n', { timeoutSeconds: 60 });
  return exitCode === 0;
}

function mismatch(bad: readonly ManifestFile[], folder: string): RemoteError {
  return new RemoteError(
    'checksum_mismatch',
    `${bad.length} files arrived altered although the pod's own files did not change. Nothing was written; what came is in ${JSON.stringify(folder)}.`,
    {
      foreignText: quoteForeign(
        bad
          .slice(0, 10)
          .map((file) => file.path)
          .join('\n'),
      ),
    },
  );
}
