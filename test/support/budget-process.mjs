// A server of its own that rents when it is told to. One line of JSON in is one race: {file, what, minutes,
// podId?, limits}; one line out is what came of it.
import { createInterface } from 'node:readline';
import { systemClock } from '../../src/core/call.ts';
import { createSqliteStore } from '../../src/store/sqlite.ts';
import { createFakeProvider } from './fake-provider.ts';
import { createLeaseBench } from './lease-bench.ts';

// Its machines are its own: what the servers share is the state.
const provider = createFakeProvider({
  clock: systemClock,
  bootSeconds: 0,
  canHoldDeadlines: false,
});
process.stdout.write('ready\n');
for await (const line of createInterface({ input: process.stdin })) {
  const { file, what, minutes, podId, limits } = JSON.parse(line);
  const store = createSqliteStore({ file });
  const server = createLeaseBench({
    store,
    provider,
    clock: systemClock,
    limits,
    processId: `process-${process.pid}`,
    isAlive: () => true,
  });
  let result;
  try {
    if (what === 'create') await server.create({ ttlMinutes: minutes }, 0);
    else await server.pods.update(podId, { ttlMinutes: minutes }, server.options);
    result = 'won';
  } catch (failure) {
    result = failure.code ?? String(failure);
  }
  await store[Symbol.asyncDispose]();
  process.stdout.write(`${result}\n`);
}
