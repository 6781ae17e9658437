import { once } from 'node:events';
import { expect, it } from 'vitest';
import { BuiltServer, sandbox } from '../support/built-server.ts';
import { gone, opened, readyPod } from '../support/day.ts';

it('leaves promptly when the host hangs up, with connections, a session and a running command open', async () => {
  await using box = await sandbox();
  const first = await BuiltServer.start(box);
  const podId = await readyPod(first);
  const sessionId = await opened(first, podId);
  for (const input of ['echo 1', 'echo 2']) await first.call('session_write', { sessionId, input });
  await first.call('session_write', { sessionId, input: 'sleep 30; echo late', waitSeconds: 0 });

  const left = once(first.child, 'exit');
  const started = performance.now();
  first.child.stdin.end();
  expect(await left).toEqual([0, null]);
  expect(performance.now() - started).toBeLessThan(2000);

  await using next = await BuiltServer.start(box);
  expect(await next.call('session_read', { sessionId, offset: 0 })).toMatchObject({
    state: 'busy',
  });
  await gone(next, podId);
});
