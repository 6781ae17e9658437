import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, it } from 'vitest';
import { BuiltServer, sandbox } from '../support/built-server.ts';
import { gone, opened, readyPod } from '../support/day.ts';

const FROM_ENVIRONMENT = 'sesame-9214-open';
const TYPED = 'hunter2-typed-4711';
const GIVEN = 'given-to-a-variable-88';

/** Every file below `folder` that holds one of the values. */
async function filesThatTell(folder: string): Promise<readonly string[]> {
  const telling: string[] = [];
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = path.join(entry.parentPath, entry.name);
    // The pod's own folder is its disk: the transcript lies there as the terminal wrote it.
    if (!entry.isFile() || file.startsWith(path.join(folder, 'pods'))) continue;
    const text = await readFile(file, 'latin1');
    if ([FROM_ENVIRONMENT, TYPED, GIVEN].some((value) => text.includes(value))) telling.push(file);
  }
  return telling;
}

it('secrets stay masked in the next server, in the logs and transcripts at home, and after the pod [KE-11]', async () => {
  await using box = await sandbox();
  const first = await BuiltServer.start({ ...box, env: { FOO_SECRET: FROM_ENVIRONMENT } });
  const podId = await readyPod(first);
  const sessionId = await opened(first, podId);
  await first.call('session_write', {
    sessionId,
    input: 'stty -echo; read -r token; stty echo; echo "it is $token"; echo "$GIVEN"',
    waitSeconds: 0,
  });
  await first.call('session_write', { sessionId, input: TYPED, secret: true });
  await first.call('session_write', { sessionId, input: `export GIVEN=${GIVEN}`, secret: true });
  const shown = await first.call('session_write', { sessionId, input: 'echo "now $GIVEN"' });
  expect(shown['output']).toBe('now [redacted]\n');
  const { jobId } = await first.call('job_start', {
    podId,
    command: 'echo "job says $FOO_SECRET"; echo "and $FOO_SECRET" >&2',
    secretEnv: ['FOO_SECRET'],
  });
  await first.kill9();

  // Neither the value nor the variable is known to this one.
  await using next = await BuiltServer.start(box);
  const job = await next.call('job_wait', { jobId, offset: 0 });
  expect(job).toMatchObject({ status: 'completed', output: 'job says [redacted]\n' });
  const errors = await next.call('job_logs', { jobId, stream: 'stderr' });
  expect(errors['output']).toBe('and [redacted]\n');
  const live = await next.call('session_read', { sessionId, offset: 0 });
  expect(live['output']).toContain('it is [redacted]');
  for (const value of [TYPED, GIVEN]) expect(JSON.stringify(live)).not.toContain(value);

  await gone(next, podId);
  const archived = await next.call('session_read', { sessionId, offset: 0 });
  expect(archived['output']).toContain('it is [redacted]');
  expect(archived['nextOffset']).toBeGreaterThanOrEqual(Number(live['nextOffset']));
  expect((await next.call('job_logs', { jobId }))['output']).toBe('job says [redacted]\n');
  const left = once(next.child, 'exit');
  next.child.stdin.end();
  await left;
  expect(await filesThatTell(box.home)).toEqual([]);
});
