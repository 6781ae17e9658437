import { parentPort, workerData } from 'node:worker_threads';
import { systemClock } from './core/call.ts';
import { Disposer } from './core/disposer.ts';
import { Redactor } from './core/redact.ts';
import { createFiles } from './files/files.ts';
import { createSsh } from './sessions/ssh.ts';
import { createSqliteStore } from './store/sqlite.ts';
import { giveWay } from './transfer/give-way.ts';
import { serveTransfers } from './transfer/serve.ts';
import { threadDataSchema } from './transfer/thread.ts';

/** The program of the thread that moves files: connections of its own, the shared state, and the server for the rest. */
const { home, workspace, stateFile, agentSocket } = threadDataSchema.parse(workerData);
if (parentPort === null) throw new Error('This program runs as a thread of the server.');
giveWay();

serveTransfers(parentPort, ({ machines, jobs }) => {
  const disposer = new Disposer();
  const clock = systemClock;
  const store = disposer.use(createSqliteStore({ file: stateFile }));
  const { remote } = disposer.use(
    createSsh({
      machines,
      store,
      clock,
      home,
      redactor: new Redactor(),
      agentSocket,
      givesWay: true,
    }),
  );
  return {
    files: createFiles({ remote, store, jobs, clock, home, workspace }),
    async disconnect(podId) {
      await remote.disconnect(podId);
    },
    [Symbol.asyncDispose]: async () => disposer[Symbol.asyncDispose](),
  };
});
