import path from 'node:path';
import { createApp, type ProgramFiles } from './app.ts';
import type { Config } from './config.ts';
import { systemClock } from './core/call.ts';
import { isAppError } from './core/errors.ts';
import { makePrivateFolder } from './core/private-folder.ts';
import { Redactor } from './core/redact.ts';
import { createLogFile } from './watcher/log-file.ts';

/**
 * The watcher in the background: no terminal, no pipe, no folder but the state's. It ends when another one took over, when no
 * lease needs it any more, or when it is asked to. `over`: the epoch of a living holder that it replaces.
 */
export async function watchInBackground(
  config: Config,
  files: ProgramFiles,
  over: number | undefined,
): Promise<number> {
  const redactor = new Redactor();
  const log = createLogFile({
    file: path.join(config.home, 'watcher.log'),
    clock: systemClock,
    redact: (text) => redactor.redact(text),
  });
  const stop = new AbortController();
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.on(name, () => {
      stop.abort();
    });
  // The terminal it was started from is gone: that is what it is for.
  process.on('SIGHUP', () => undefined);
  const fail = (failure: unknown): void => {
    void log(`failed: ${wordsOf(failure)}`).then(() => process.exit(1));
  };
  process.on('uncaughtException', fail);
  process.on('unhandledRejection', fail);
  await makePrivateFolder(config.home);
  // Files are moved without a thread of their own: memory counts, speed does not.
  const app = createApp(config, { ...files, transferWorker: undefined }, redactor);
  try {
    const { pid } = process;
    await log(`process ${pid}, version ${files.version ?? 'unknown'}, wants to watch.`);
    const end = await app.services.watcher.watch(
      {
        way: 'background',
        over,
        onRound: async ({ actions, failure }) => {
          for (const action of actions) await log(action);
          if (failure !== undefined) await log(`a round was not whole: ${wordsOf(failure)}`);
        },
      },
      { signal: stop.signal },
    );
    if (end.kind === 'ended')
      await log(`process ${pid} ended: nothing is left, or it was told to.`);
    else
      await log(
        `process ${pid} ${end.kind === 'held' ? 'was not needed' : 'is over'}: ${end.by?.pid ?? 'another process'} watches.`,
      );
    return 0;
  } catch (failure) {
    await log(`failed: ${wordsOf(failure)}`);
    return 1;
  } finally {
    await app[Symbol.asyncDispose]();
  }
}

function wordsOf(failure: unknown): string {
  if (isAppError(failure)) return `${failure.code}: ${failure.message}`;
  return failure instanceof Error ? `${failure.name}: ${failure.message}` : String(failure);
}
