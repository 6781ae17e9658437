import { expect, it } from 'vitest';
import { BuiltServer, sandbox } from '../support/built-server.ts';
import { opened, readyPod } from '../support/day.ts';

it('a job that may outlive its pod is told so; at the deadline its logs and the transcript come home first [L-34]', async () => {
  await using box = await sandbox();
  await using server = await BuiltServer.start(box);
  const podId = await readyPod(server, { ttlMinutes: 1 });
  const sessionId = await opened(server, podId);
  await server.call('session_write', { sessionId, input: 'echo written in the shell' });
  const started = await server.call('job_start', {
    podId,
    command: 'while :; do echo working; sleep 1; done',
    artifacts: ['model.bin'],
  });
  expect(started['summary']).toMatch(/The pod ends in \d+ s .*update_pod with ttlMinutes/);
  const { jobId } = started;
  const looked = await server.call('job_wait', { jobId, waitSeconds: 0 });
  expect(JSON.stringify(looked['work'])).toContain('The pod ends in');

  const got = await server.call('get_pod', { podId, waitFor: 'gone', waitSeconds: 45 });
  const ended =
    got['reached'] === true
      ? got
      : await server.call('get_pod', { podId, waitFor: 'gone', waitSeconds: 45 });
  expect(ended).toMatchObject({ reached: true, pod: { status: 'gone' } });
  const logs = await server.call('job_logs', { jobId });
  expect(logs).toMatchObject({ status: 'lost' });
  expect(String(logs['output']).split('working').length).toBeGreaterThan(20);
  expect((await server.call('session_read', { sessionId, offset: 0 }))['output']).toContain(
    'written in the shell',
  );
  const report = await server.call('report', { podId });
  expect(JSON.stringify(report['jobs'])).toContain('"lost"');
  const waited = await server.call('job_wait', { jobId, waitSeconds: 0 });
  expect(waited).toMatchObject({ status: 'lost' });
  expect(waited['runtimeSeconds']).toBeLessThan(60);
  expect(waited['next']).toMatchObject([{ tool: 'report', arguments: { jobId } }]);
  // Nothing of it was ever written; that nobody can tell from the outside, and it is named.
  const listed = await server.call('list_pods', {});
  expect(listed['summary']).toMatch(
    new RegExp(`${podId} ended unasked at .* NOT HOME: "model.bin" of ${String(jobId)}`),
  );
}, 120_000);
