import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sealedReceiptSchema } from '../../src/core/receipt.ts';
import { openBuilt } from '../support/built-client.ts';
import { MAIN } from '../support/built-server.ts';

const { signal } = new AbortController();
type Data = Record<string, unknown>;
interface Blocked extends Data {
  readonly outcome: string;
  readonly summary: string;
  readonly missing: readonly { gate: string; jobId?: string; path?: string; why: string }[];
  readonly next: readonly { tool: string; why: string; arguments: Data }[];
}

let root = '';
beforeEach(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), 'gl-early-e2e-')));
  await mkdir(path.join(root, 'workspace'));
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

it('an agent that destroys too early is told each time what is missing and the call that mends it; what cannot be mended is waived on record [TD-01] [TD-04]', async () => {
  const state = path.join(root, 'state');
  const workspace = path.join(root, 'workspace');
  const server = await openBuilt({ home: state, workspace }, signal);
  const call = async (tool: string, words: Data): Promise<Data> =>
    (await server.call(tool, words, { signal })).data as Data;
  try {
    const rent = { offerId: 'local:cpu', diskGb: 1, ttlMinutes: 30, waitSeconds: 40 };
    const { pod } = await call('create_pod', rent);
    const { podId } = pod as { podId: string };
    const start = async (command: string, artifacts: readonly string[]): Promise<string> => {
      const started = await call('job_start', { podId, cwd: 'run', command, artifacts });
      return started['jobId'] as string;
    };
    const { sessionId } = await call('session_open', { podId });
    const type = async (input: string): Promise<void> => {
      expect(await call('session_write', { sessionId, input, waitSeconds: 30 })).toMatchObject({
        exitCode: 0,
      });
    };
    const early = async (): Promise<Blocked> => {
      const answer = (await call('destroy', { podId, waitSeconds: 0 })) as Blocked;
      expect(answer, JSON.stringify(answer)).toMatchObject({ outcome: 'blocked' });
      expect(answer.summary).toContain('is kept');
      expect(answer.summary).toContain('Nothing was stopped.');
      return answer;
    };
    /** Does what the refusal says, as it stands there. */
    const mend = async ({ next }: Blocked): Promise<Data> => {
      const [first] = next;
      if (first === undefined) throw new Error('no call is named');
      return call(first.tool, first.arguments);
    };
    await type('mkdir -p run');

    // One: its job still runs.
    const jobId = await start('until [ -e go ]; do sleep 0.2; done; echo "[1]" > out.json', [
      'out.json',
    ]);
    const running = await early();
    expect(running.missing).toEqual([
      { gate: 'job_running', jobId, why: expect.stringContaining('running') as string },
    ]);
    expect(running.next[0]).toMatchObject({ tool: 'job_wait', arguments: { jobId } });
    expect(running.summary).not.toContain('discardUnfetched');
    await type('touch run/go');
    expect(await mend(running)).toMatchObject({ status: 'completed' });

    // Two: what it declared is only on the pod.
    const home = path.join(workspace, 'results', jobId, 'out.json');
    const fetch = { tool: 'fetch_artifacts', arguments: { jobId, localPath: `results/${jobId}` } };
    const unfetched = await early();
    expect(unfetched.missing).toEqual([
      { gate: 'artifact_not_fetched', jobId, path: 'out.json', why: 'It is only on the pod.' },
    ]);
    expect(unfetched.next).toHaveLength(1);
    expect(unfetched.next[0]).toMatchObject(fetch);
    // Whoever can still fetch it is not shown the way to lose it.
    expect(JSON.stringify([unfetched.summary, unfetched.next])).not.toContain('discardUnfetched');
    await mend(unfetched);
    expect(await readFile(home, 'utf8')).toBe('[1]\n');

    // Three: the pod holds a newer one than what is home.
    await type('echo "[2]" > run/out.json');
    const changed = await early();
    expect(changed.missing).toMatchObject([{ gate: 'artifact_changed', jobId, path: 'out.json' }]);
    expect(changed.next[0]).toMatchObject(fetch);
    await mend(changed);
    expect(await readFile(home, 'utf8')).toBe('[2]\n');

    // Four: the copy at home is gone.
    await rm(home);
    const lost = await early();
    expect(lost.missing).toMatchObject([{ gate: 'artifact_not_home', jobId, path: 'out.json' }]);
    expect(lost.next[0]).toMatchObject(fetch);
    await mend(lost);
    expect(await readFile(home, 'utf8')).toBe('[2]\n');

    // Five: a run failed and never wrote what it declared.
    const failedId = await start('echo "no such data" >&2; exit 3', ['model.json']);
    await call('job_wait', { jobId: failedId, waitSeconds: 40 });
    const never = await early();
    expect(never.missing).toMatchObject([
      { gate: 'artifact_not_fetched', jobId: failedId, path: 'model.json' },
    ]);
    expect(never.next[0]).toMatchObject({ tool: 'job_logs', arguments: { jobId: failedId } });
    expect(never.summary).toMatch(/discardUnfetched and their reason\.$/);
    await mend(never);

    // Six: what came home cannot be opened.
    const brokenId = await start('printf \'{"loss":\' > metrics.json', ['metrics.json']);
    await call('job_wait', { jobId: brokenId, waitSeconds: 40 });
    await call('fetch_artifacts', { jobId: brokenId, localPath: 'broken' });
    const broken = await early();
    expect(broken.missing.map(({ gate, path: name }) => [gate, name])).toEqual(
      expect.arrayContaining([
        ['artifact_broken', 'metrics.json'],
        ['artifact_not_fetched', 'model.json'],
      ]),
    );
    expect(broken.next.map(({ tool }) => tool)).toEqual(['job_logs', 'job_logs']);

    // Nothing goes without a reason, and what goes is on record.
    const bare = { podId, discardUnfetched: true };
    expect(await call('destroy', bare)).toMatchObject({ code: 'invalid_input' });
    const reason = 'The user says that the failed run is not needed.';
    const ended = await call('destroy', { ...bare, reason, waitSeconds: 40 });
    expect(ended, JSON.stringify(ended)).toMatchObject({
      outcome: 'gone',
      receipt: { waiver: { reason, by: 'caller', gates: { length: 2 } } },
    });
    // The log of the failed run is home, though nobody fetched it.
    const logs = await call('job_logs', { jobId: failedId, stream: 'stderr' });
    expect(logs['output']).toContain('no such data');
  } finally {
    await server.close();
  }

  const receipts = path.join(state, 'receipts');
  const names = await readdir(receipts);
  const read = async (ending: string): Promise<string> =>
    readFile(path.join(receipts, names.find((name) => name.endsWith(ending)) ?? ''), 'utf8');
  const sealed = sealedReceiptSchema.parse(JSON.parse(await read('.json')));
  expect(sealed.waiver).toMatchObject({
    by: 'caller',
    reason: 'The user says that the failed run is not needed.',
  });
  expect(
    sealed.waiver?.gates.map(({ gate, path: name }) => `${gate} ${name ?? ''}`).sort(),
  ).toEqual(['artifact_broken metrics.json', 'artifact_not_fetched model.json']);
  const markdown = await read('.md');
  for (const words of ['The user says that the failed run', 'artifact_broken', 'model.json'])
    expect(markdown).toContain(words);
  const args = [MAIN, 'verify', receipts, '--workspace', workspace, '--chain-only', '--json'];
  const verdict = await new Promise<{ code: unknown; stdout: string }>((resolve) => {
    execFile(
      process.execPath,
      args,
      { cwd: root, env: { PATH: process.env['PATH'], HOME: path.join(root, 'other') } },
      (error, stdout) => {
        resolve({ code: error?.code ?? 0, stdout });
      },
    );
  });
  expect(verdict, verdict.stdout).toMatchObject({ code: 0 });
  expect(JSON.parse(verdict.stdout)).toMatchObject({ ok: true, receipts: [{ sequence: 1 }] });
});
