import { cp, mkdir, mkdtemp, readdir, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Clock } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import { poll } from '../../core/poll.ts';
import { processesMentioning } from './leftovers.ts';

/** The demo's own state folder and workspace: nothing of the person is read or written. */
export interface Stage {
  readonly root: string;
  readonly home: string;
  readonly workspace: string;
}

/** Makes the folders and copies the example project into the workspace. */
export async function buildStage(exampleFolder: string, name: string): Promise<Stage> {
  const root = await realpath(await mkdtemp(path.join(tmpdir(), 'gpu-lease-demo-')));
  const stage = { root, home: path.join(root, 'home'), workspace: path.join(root, 'workspace') };
  await mkdir(stage.home, { mode: 0o700 });
  await mkdir(stage.workspace);
  try {
    await cp(exampleFolder, path.join(stage.workspace, name), {
      recursive: true,
      filter: (source) => path.basename(source) !== 'runs',
    });
  } catch (cause) {
    await rm(root, { recursive: true, force: true });
    throw new InputError('path_missing', `The example project is not at ${exampleFolder}.`, {
      cause,
      hint: 'Install the package again: its folder examples is missing.',
    });
  }
  return stage;
}

/** What is left of pods, looked for until it is nothing or the time is over. */
export async function leftovers(
  { home }: Stage,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly folders: readonly string[]; readonly processes: readonly number[] }> {
  const look = async (): Promise<Awaited<ReturnType<typeof leftovers>>> => ({
    folders: await readdir(path.join(home, 'pods')).catch(() => []),
    processes: await processesMentioning(home, 'command_or_environment'),
  });
  const clean = await poll(
    async () => {
      const seen = await look();
      return seen.folders.length === 0 && seen.processes.length === 0 ? seen : undefined;
    },
    { clock, signal, timeoutSeconds: 5, everySeconds: 0.25 },
  );
  return clean ?? look();
}
