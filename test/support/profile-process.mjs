// Loaded into a program by NODE_OPTIONS=--import: each of its threads leaves a CPU profile in the folder that PROFILE_FOLDER names when it
// ends.
import { mkdirSync, writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import path from 'node:path';
import { isMainThread, threadId } from 'node:worker_threads';

const PIECE_MS = 8000;
const folder = process.env.PROFILE_FOLDER;
if (folder !== undefined) {
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.setSamplingInterval', { interval: 500 });
  session.post('Profiler.start');
  const write = () => {
    session.post('Profiler.stop', (failure, { profile } = {}) => {
      if (failure !== null) return;
      mkdirSync(folder, { recursive: true });
      const name = `${process.pid}-${isMainThread ? 'main' : `worker${threadId}-${Math.round(performance.now())}`}.cpuprofile`;
      writeFileSync(path.join(folder, name), JSON.stringify(profile));
    });
  };
  process.once('exit', write);
  // A thread that is ended from outside does not see it coming: it leaves what it did in its last seconds.
  if (!isMainThread)
    setInterval(() => {
      write();
      session.post('Profiler.start');
    }, PIECE_MS).unref();
}
