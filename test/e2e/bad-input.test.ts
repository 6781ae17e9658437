import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuiltServer, processesBelow, sandbox, textAt } from '../support/built-server.ts';
import { finished, gone, opened, readyPod, started, transcript } from '../support/day.ts';

let box: Awaited<ReturnType<typeof sandbox>>;
let server: BuiltServer;
let podId: string;
let sessionId: string;

beforeAll(async () => {
  box = await sandbox();
  server = await BuiltServer.start(box);
  podId = await readyPod(server);
  sessionId = await opened(server, podId);
}, 60_000);
afterAll(async () => {
  await server[Symbol.asyncDispose]();
  await box[Symbol.asyncDispose]();
});

async function refusal(tool: string, args: Record<string, unknown>) {
  const answer = await server.tool(tool, args);
  expect(answer.isError, JSON.stringify(answer.data)).toBe(true);
  for (const name of ['code', 'message', 'hint']) expect(textAt(answer.data, name)).not.toBe('');
  expect(answer.data['retryable']).toBeTypeOf('boolean');
  expect(JSON.stringify(answer.data).length).toBeLessThanOrEqual(8000);
  return answer.data;
}

describe('bad input gets a typed error that names the fix', () => {
  it.each([
    ['get_pod', { podId: 'local:nobody' }, 'not_found'],
    ['get_pod', { podId: 'nonsense' }, 'invalid_input'],
    ['get_pod', { podId: 7 }, 'invalid_input'],
    ['get_pod', {}, 'invalid_input'],
    ['get_pod', { podId: 'local:nobody', extra: 1 }, 'invalid_input'],
    ['destroy', { podId: 'local:nobody' }, 'not_found'],
    ['create_pod', { offerId: 'local:no-such-offer' }, 'offer_gone'],
    ['create_pod', { offerId: 'vast:1' }, 'unsupported'],
    ['session_read', { sessionId: 'ses_aaaaaaaaaaaaaaaa' }, 'not_found'],
    ['session_open', { profileId: 'nobody' }, 'not_found'],
    ['session_open', {}, 'invalid_input'],
    ['job_wait', { jobId: 'job_aaaaaaaaaaaaaaaa' }, 'not_found'],
    ['job_logs', { jobId: 'job_aaaaaaaaaaaaaaaa', stream: 'stdout' }, 'not_found'],
    ['report', {}, 'invalid_input'],
    ['find_offer', { gpuCount: 'two' }, 'invalid_input'],
  ])('%s %j -> %s', async (name, args, code) => {
    expect(await refusal(name, args)).toMatchObject({ code });
  });

  it('an unknown argument is named', async () => {
    expect((await refusal('get_pod', { podId, wait: 3 }))['message']).toContain('wait');
  });

  it('commands: empty, 10 MB, NUL', async () => {
    expect(await refusal('job_start', { podId, command: '' })).toMatchObject({
      code: 'invalid_input',
    });
    expect(await refusal('job_start', { podId, command: '  ' })).toMatchObject({
      code: 'invalid_input',
    });
    expect(await refusal('job_start', { podId, command: 'echo \0' })).toMatchObject({
      code: 'invalid_input',
    });
    expect(await refusal('session_write', { sessionId, input: 'echo \0' })).toMatchObject({
      code: 'invalid_input',
    });
    for (const large of ['x'.repeat(2_000_000), 'x'.repeat(11_000_000)]) {
      expect(await refusal('job_start', { podId, command: large })).toMatchObject({
        code: 'too_large',
      });
      expect(await refusal('session_write', { sessionId, input: large })).toMatchObject({
        code: 'too_large',
      });
    }
    expect(
      await server.call('session_write', { sessionId, input: 'echo still-alive' }),
    ).toMatchObject({ done: true, exitCode: 0 });
  });

  it('local paths: outside the workspace, by link, missing [SY-06]', async () => {
    await mkdir(path.join(box.home, 'elsewhere'), { recursive: true });
    await mkdir(`${box.workspace}-sibling`, { recursive: true });
    await symlink(path.join(box.home, 'elsewhere'), path.join(box.workspace, 'way-out')).catch(
      () => undefined,
    );
    for (const localPath of ['..', '/etc', 'way-out', `${box.workspace}-sibling`])
      expect(await refusal('sync_files', { podId, localPath, remotePath: 'p' })).toMatchObject({
        code: 'path_outside_workspace',
      });
    expect(
      await refusal('sync_files', { podId, localPath: 'not-there', remotePath: 'p' }),
    ).toMatchObject({ code: 'path_missing' });
    expect(
      await refusal('fetch_artifacts', { podId, paths: ['x'], localPath: '../out' }),
    ).toMatchObject({ code: 'path_outside_workspace' });
    expect(
      await refusal('fetch_artifacts', { podId, paths: ['not-there'], localPath: 'out' }),
    ).toMatchObject({ code: 'path_missing' });
  });

  it('remote paths: system roots and escapes [SY-09]', async () => {
    await mkdir(path.join(box.workspace, 'small'), { recursive: true });
    await writeFile(path.join(box.workspace, 'small', 'a'), 'a');
    for (const remotePath of ['/', '/etc', '/root', '../../up', '.ssh'])
      expect(await refusal('sync_files', { podId, localPath: 'small', remotePath })).toMatchObject({
        code: 'invalid_input',
      });
  });

  it('odd file names go there and come home unharmed [SA-04]', async () => {
    const names = [
      'new\nline',
      "quo'te",
      '$(touch hacked)',
      '-rf',
      'sp ace',
      '"double"',
      'back\\slash',
      'ünï✓',
    ];
    const folder = path.join(box.workspace, 'odd');
    await mkdir(folder, { recursive: true });
    for (const name of names) await writeFile(path.join(folder, name), name);
    expect(
      await server.call('sync_files', { podId, localPath: 'odd', remotePath: 'odd' }),
    ).toMatchObject({ verified: true, sent: { files: names.length } });
    expect(
      await server.call('sync_files', { podId, localPath: 'odd', remotePath: 'odd' }),
    ).toMatchObject({ sent: { files: 0 } });
    await server.call('fetch_artifacts', { podId, paths: ['odd'], localPath: 'odd-home' });
    expect((await readdir(path.join(box.workspace, 'odd-home', 'odd'))).sort()).toEqual(
      [...names].sort(),
    );
    for (const name of names)
      expect(await readFile(path.join(box.workspace, 'odd-home', 'odd', name), 'utf8')).toBe(name);
  });

  it('invalid UTF-8 from the pod becomes readable text, offsets stay exact [SE-10]', async () => {
    const own = await opened(server, podId, { reuse: false });
    const said = await server.call('session_write', {
      sessionId: own,
      input: "printf 'a\\377\\376b\\303\\n'",
    });
    expect(said).toMatchObject({ done: true, exitCode: 0 });
    expect(said['output']).toContain('a��b');
    expect(await transcript(server, own)).toContain('a��b');
  });

  it('two servers at once: commands of both, each once, none mixed [JO-21]', async () => {
    await using other = await BuiltServer.start(box);
    const own = await opened(server, podId, { reuse: false });
    const writes = Array.from({ length: 12 }, async (_, index) => {
      const client = index % 2 === 0 ? server : other;
      for (;;) {
        const answer = await client.tool('session_write', {
          sessionId: own,
          input: `echo "from-$((${index}+100))-end"`,
          waitSeconds: 5,
        });
        if (!answer.isError) return answer.data;
        expect(answer.data['code']).toBe('session_busy');
      }
    });
    const answers = await Promise.all(writes);
    const text = await transcript(server, own);
    for (const [index, answer] of answers.entries()) {
      expect(textAt(answer, 'typedTo'), text).toBe('shell');
      expect(text.split(`from-${index + 100}-end`).length - 1, text).toBe(1);
    }
  });

  it('a state folder that cannot be written is said, by name', async () => {
    const file = path.join(box.workspace, 'a-file');
    await writeFile(file, '');
    await using broken = await BuiltServer.start({
      home: path.join(file, 'home'),
      workspace: box.workspace,
    });
    const answer = await broken.tool('list_pods');
    expect(answer).toMatchObject({ isError: true, data: { code: 'state_unwritable' } });
    expect(JSON.stringify(answer.data)).toContain('GPU_LEASE_HOME');
  });

  it('SSH of a pod killed: unreachable or unknown, never gone, never fine; destroy still ends it [FA-10]', async () => {
    const victim = await readyPod(server);
    const folder = path.join(box.home, 'pods', victim.slice('local:'.length));
    for (const pid of await processesBelow(folder)) process.kill(pid, 'SIGKILL');
    const answer = await server.tool('session_open', { podId: victim });
    expect(answer.isError).toBe(true);
    expect(['ssh_unreachable', 'pod_not_ready', 'link_lost']).toContain(answer.data['code']);
    const seen = await server.call('get_pod', { podId: victim });
    expect(['unreachable', 'failed', 'unknown', 'stopped']).toContain(textAt(seen, 'pod.status'));
    await gone(server, victim);
  });

  it('a pod that is gone answers so everywhere', async () => {
    const ended = await readyPod(server);
    const old = await opened(server, ended);
    await server.call('session_write', { sessionId: old, input: 'echo remembered' });
    const jobId = await started(server, { podId: ended, command: 'echo logged' });
    await finished(server, jobId);
    await gone(server, ended);
    expect(await refusal('session_open', { podId: ended })).toMatchObject({ code: 'pod_gone' });
    expect(await refusal('job_start', { podId: ended, command: 'true' })).toMatchObject({
      code: 'pod_gone',
    });
    const written = await refusal('session_write', { sessionId: old, input: 'true' });
    expect(textAt(written, 'code')).toMatch(/^(?:session_(?:closed|lost)|pod_gone)$/);
    expect(await transcript(server, old)).toContain('remembered');
    expect(
      (await server.call('job_logs', { jobId, stream: 'stdout', offset: 0 }))['output'],
    ).toContain('logged');
    expect(await server.call('job_wait', { jobId, waitSeconds: 0 })).toMatchObject({
      status: 'completed',
    });
    expect(await server.call('get_pod', { podId: ended })).toMatchObject({
      pod: { status: 'gone' },
    });
    await gone(server, ended);
  });

  it('stdout carries nothing but JSON-RPC', () => {
    expect(server.noise).toEqual([]);
  });
});
