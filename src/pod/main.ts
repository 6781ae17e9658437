import path from 'node:path';
import { env } from 'node:process';
import { systemClock } from '../core/call.ts';
import { endPod } from './end.ts';
import { openPodFolder } from './folder.ts';
import { standGuard } from './guard.ts';
import { servePod } from './serve.ts';

/*
 * A program of its own: `pod FOLDER` serves the pod of that folder, `pod FOLDER stop|destroy` ends it from outside,
 * `pod FOLDER guard` keeps its deadline after the serving process was killed.
 * This file is the only reader of its arguments and environment. It must not die of a client's mistake.
 */

const USAGE = 'usage: pod FOLDER [stop|destroy|guard]';

function log(line: string): void {
  process.stderr.write(`${systemClock.now().toISOString()} ${line}\n`);
}

async function main([folderArgument, order]: readonly string[]): Promise<number> {
  if (folderArgument === undefined) {
    log(USAGE);
    return 2;
  }
  const folder = openPodFolder(path.resolve(folderArgument), () => systemClock.now());
  const config = await folder.config();
  if (order === 'stop' || order === 'destroy') {
    const token = config?.podToken ?? path.basename(folder.path);
    return (await endPod(folder, token, order, systemClock)) ? 0 : 1;
  }
  if (order === 'guard' && config !== undefined) {
    await standGuard(folder, config.podToken, systemClock);
    return 0;
  }
  if (config === undefined || order !== undefined) {
    log(order === undefined ? 'No pod is configured there.' : USAGE);
    return 2;
  }
  if (!(await folder.take('serve'))) {
    log('Another process serves this pod.');
    return 0;
  }
  if ((await folder.config()) === undefined) {
    log('The pod was removed meanwhile.');
    await folder.release();
    return 2;
  }
  const told = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => {
      told.abort();
    });
  process.on('SIGHUP', () => undefined);
  process.on('uncaughtException', (failure) => {
    log(`uncaught: ${failure.stack ?? failure.message}`);
  });
  try {
    await servePod({
      folder,
      config,
      clock: systemClock,
      outerEnvironment: env,
      log,
      program: [process.execPath, ...process.execArgv, ...process.argv.slice(1, 2)],
      signal: told.signal,
    });
  } finally {
    await folder.release();
  }
  return 0;
}

// A log that cannot be written, as on a full disk, must not end the pod.
process.stderr.on('error', () => undefined);
try {
  process.exitCode = await main(process.argv.slice(2));
} catch (failure) {
  log(`failed: ${failure instanceof Error ? (failure.stack ?? failure.message) : String(failure)}`);
  process.exitCode = 1;
}
// Open channels of clients would keep the process alive for as long as they like.
process.exit();
