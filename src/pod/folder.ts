import { chmod, link, mkdir, open, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  type EmbeddedPodConfig,
  type EmbeddedPodDeadline,
  type EmbeddedPodHolder,
  type EmbeddedPodState,
  embeddedPodConfigSchema,
  embeddedPodDeadlineSchema,
  embeddedPodHolderSchema,
  embeddedPodStateSchema,
  POD_FILES,
} from '../core/embedded-pod.ts';
import { readJsonFile, writeJsonFile } from '../core/json-file.ts';
import { isAlive, processIdentity } from '../core/local-process.ts';

/** The pod's side of its folder. */
export interface PodFolder {
  readonly path: string;
  readonly file: (name: keyof typeof POD_FILES) => string;
  config(): Promise<EmbeddedPodConfig | undefined>;
  /** Throws when it is missing or cannot be read: not knowing the deadline is not the same as having none. */
  deadline(): Promise<EmbeddedPodDeadline>;
  state(): Promise<EmbeddedPodState | undefined>;
  writeState(state: Omit<EmbeddedPodState, 'updatedAt'>): Promise<void>;
  /** The living process that serves or ends this pod. */
  holder(): Promise<EmbeddedPodHolder | undefined>;
  /** Makes this process the holder; `false` when another living one is. */
  take(role: EmbeddedPodHolder['role']): Promise<boolean>;
  release(): Promise<void>;
  /** Whether the folder itself was deleted. One that was only moved, or cannot be read now, was not. */
  isRemoved(): Promise<boolean>;
}

export function openPodFolder(folder: string, now: () => Date): PodFolder {
  const file = (name: keyof typeof POD_FILES): string => path.join(folder, POD_FILES[name]);

  const holder = async (): Promise<EmbeddedPodHolder | undefined> => {
    const held = await readJsonFile(file('lock'), embeddedPodHolderSchema).catch(() => undefined);
    return held !== undefined && (await isAlive(held)) ? held : undefined;
  };
  const isMine = async (): Promise<boolean> => {
    const held = await holder();
    return held?.pid === process.pid;
  };

  const handle = open(folder, 'r').catch(() => undefined);

  return {
    path: folder,
    file,
    config: async () => readJsonFile(file('config'), embeddedPodConfigSchema),
    async deadline() {
      const found = await readJsonFile(file('deadline'), embeddedPodDeadlineSchema);
      if (found === undefined) throw new Error('The deadline file is missing.');
      return found;
    },
    state: async () => readJsonFile(file('state'), embeddedPodStateSchema),
    writeState: async (state) =>
      writeJsonFile(file('state'), { ...state, updatedAt: now().toISOString() }),
    holder,
    async take(role) {
      const me = await processIdentity(process.pid);
      if (me === undefined) throw new Error('This process cannot be identified.');
      const claim = `${file('lock')}.${process.pid}`;
      await writeFile(claim, JSON.stringify({ ...me, role }), { mode: 0o600 });
      try {
        // A link appears whole or not at all, and never over another one.
        if (await linkOnce(claim, file('lock'))) return true;
        if ((await holder()) !== undefined) return await isMine();
        await rename(file('lock'), `${claim}.stale`).catch(() => undefined);
        return (await linkOnce(claim, file('lock'))) || (await isMine());
      } finally {
        await rm(claim, { force: true });
        await rm(`${claim}.stale`, { force: true });
      }
    },
    async release() {
      if (await isMine()) await rm(file('lock'), { force: true });
    },
    async isRemoved() {
      const opened = await handle;
      return (await opened?.stat().catch(() => undefined))?.nlink === 0;
    },
  };
}

/** Makes what the pod needs and closes it to other users. */
export async function preparePodFolder(folder: PodFolder): Promise<void> {
  await mkdir(folder.file('home'), { recursive: true, mode: 0o700 });
  await mkdir(folder.file('temp'), { recursive: true, mode: 0o700 });
  await chmod(folder.path, 0o700);
}

async function linkOnce(from: string, to: string): Promise<boolean> {
  try {
    await link(from, to);
    return true;
  } catch (failure) {
    if (failure instanceof Error && 'code' in failure && failure.code === 'EEXIST') return false;
    throw failure;
  }
}
