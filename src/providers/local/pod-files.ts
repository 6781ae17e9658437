import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  type EmbeddedPodConfig,
  type EmbeddedPodDeadline,
  type EmbeddedPodHolder,
  type EmbeddedPodOrder,
  type EmbeddedPodState,
  embeddedPodConfigSchema,
  embeddedPodDeadlineSchema,
  embeddedPodHolderSchema,
  embeddedPodOrderSchema,
  embeddedPodStateSchema,
  POD_FILES,
} from '../../core/embedded-pod.ts';
import { isMissing, readJsonFile, writeJsonFile } from '../../core/json-file.ts';
import { sendSignal } from '../../core/local-process.ts';

const POD_NAME = /^[a-z0-9]{8,64}$/;

/** The folders of all embedded pods, below `<home>/pods`, one by token. */
export interface PodFiles {
  folderOf(token: string): string;
  file(token: string, name: keyof typeof POD_FILES): string;
  tokens(): Promise<readonly string[]>;
  hasFolder(token: string): Promise<boolean>;
  config(token: string): Promise<EmbeddedPodConfig | undefined>;
  state(token: string): Promise<EmbeddedPodState | undefined>;
  order(token: string): Promise<EmbeddedPodOrder | undefined>;
  holder(token: string): Promise<EmbeddedPodHolder | undefined>;
  deadline(token: string): Promise<EmbeddedPodDeadline | undefined>;
  writeOrder(token: string, order: EmbeddedPodOrder): Promise<void>;
  writeDeadline(token: string, deadline: EmbeddedPodDeadline): Promise<void>;
  /**
   * The folder appears whole, in one step, for exactly one of all who want it: `false` when it was there already.
   */
  claim(
    config: EmbeddedPodConfig,
    deadline: EmbeddedPodDeadline,
    order: EmbeddedPodOrder,
  ): Promise<boolean>;
  /** For a pod that never had a process. */
  remove(token: string): Promise<void>;
}

export function createPodFiles(home: string): PodFiles {
  const root = path.join(home, 'pods');
  const file: PodFiles['file'] = (token, name) => path.join(root, token, POD_FILES[name]);
  return {
    folderOf: (token) => path.join(root, token),
    file,
    tokens: async () => (await namesIn(root)).filter((name) => POD_NAME.test(name)),
    hasFolder: async (token) =>
      stat(path.join(root, token)).then(
        () => true,
        (failure: unknown) => {
          if (isMissing(failure)) return false;
          throw failure;
        },
      ),
    config: async (token) => readJsonFile(file(token, 'config'), embeddedPodConfigSchema),
    state: async (token) => readJsonFile(file(token, 'state'), embeddedPodStateSchema),
    order: async (token) => readJsonFile(file(token, 'order'), embeddedPodOrderSchema),
    holder: async (token) => readJsonFile(file(token, 'lock'), embeddedPodHolderSchema),
    deadline: async (token) => readJsonFile(file(token, 'deadline'), embeddedPodDeadlineSchema),
    writeOrder: async (token, order) => writeJsonFile(file(token, 'order'), order),
    writeDeadline: async (token, deadline) => writeJsonFile(file(token, 'deadline'), deadline),
    async claim(config, deadline, order) {
      await mkdir(root, { recursive: true, mode: 0o700 });
      await sweepDrafts(root);
      const draft = path.join(root, `.new-${process.pid}-${randomBytes(6).toString('hex')}`);
      await mkdir(draft, { mode: 0o700 });
      try {
        await writeJsonFile(path.join(draft, POD_FILES.deadline), deadline);
        await writeJsonFile(path.join(draft, POD_FILES.order), order);
        await writeJsonFile(path.join(draft, POD_FILES.config), config);
        await rename(draft, path.join(root, config.podToken));
        return true;
      } catch (failure) {
        await rm(draft, { recursive: true, force: true });
        if (isTaken(failure)) return false;
        throw failure;
      }
    },
    remove: async (token) => rm(path.join(root, token), { recursive: true, force: true }),
  };
}

/** Drafts of processes that died while they wrote them. They were never pods. */
async function sweepDrafts(root: string): Promise<void> {
  for (const name of await namesIn(root)) {
    const [, pid] = /^\.new-(\d+)-/.exec(name) ?? [];
    if (pid === undefined || isRunning(Number(pid))) continue;
    await rm(path.join(root, name), { recursive: true, force: true });
  }
}

function isRunning(pid: number): boolean {
  try {
    return sendSignal(pid, 0);
  } catch {
    return true;
  }
}

function isTaken(failure: unknown): boolean {
  return (
    failure instanceof Error &&
    'code' in failure &&
    (failure.code === 'ENOTEMPTY' || failure.code === 'EEXIST')
  );
}

async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((failure: unknown) => {
    if (isMissing(failure)) return [];
    throw failure;
  });
}
