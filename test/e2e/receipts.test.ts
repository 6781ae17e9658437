import { execFile, execFileSync } from 'node:child_process';
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  realpath,
  rm,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { sealedReceiptSchema, type Verification } from '../../src/core/receipt.ts';
import { openBuilt } from '../support/built-client.ts';
import { MAIN } from '../support/built-server.ts';

const { signal } = new AbortController();

let root = '';
let workspace = '';
beforeEach(async () => {
  root = await realpath(await mkdtemp(path.join(tmpdir(), 'gl-receipts-e2e-')));
  workspace = path.join(root, 'workspace');
  await mkdir(path.join(workspace, 'code'), { recursive: true });
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

/** As on another machine: no state folder, no settings. */
async function verify(...words: readonly string[]) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(
      process.execPath,
      [MAIN, 'verify', ...words],
      { cwd: root, env: { PATH: process.env['PATH'], HOME: path.join(root, 'elsewhere') } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr });
      },
    );
  });
}
const git = (...words: readonly string[]): string =>
  execFileSync(
    'git',
    ['-C', path.join(workspace, 'code'), '-c', 'user.name=A', '-c', 'user.email=a@b.c', ...words],
    { encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: root } },
  ).trim();

it('a pod is rented, works, is destroyed, and what it left is verified by the program alone [TD-04] [VE-01]', async () => {
  const state = path.join(root, 'state');
  const receipts = path.join(state, 'receipts');
  await writeFile(path.join(workspace, 'code', 'train.sh'), 'echo {\\"loss\\":0.5} > out.json\n');
  git('init', '-q', '-b', 'main');
  git('add', '.');
  git('commit', '-q', '-m', 'one');
  const server = await openBuilt({ home: state, workspace }, signal);
  try {
    const call = async (tool: string, words: Record<string, unknown>) =>
      (await server.call(tool, words, { signal })).data as Record<string, unknown>;
    for (const turn of [1, 2]) {
      const rent = { offerId: 'local:cpu', name: `run-${turn}`, diskGb: 1, ttlMinutes: 5 };
      const { pod } = await call('create_pod', { ...rent, waitSeconds: 30 });
      const { podId } = pod as { podId: string };
      await call('sync_files', { podId, localPath: 'code', remotePath: 'code' });
      const job = { podId, command: 'sh train.sh', cwd: 'code', artifacts: ['out.json'] };
      const { jobId } = await call('job_start', job);
      await call('job_wait', { jobId, waitSeconds: 30 });
      await call('fetch_artifacts', { jobId, localPath: `out-${turn}` });
      const end = await call('destroy', { podId, waitSeconds: 30 });
      expect(end, JSON.stringify(end)).toMatchObject({ outcome: 'gone' });
    }
  } finally {
    await server.close();
  }

  const names = (await readdir(receipts)).sort();
  expect(names).toHaveLength(4);
  const file = path.join(receipts, names.find((name) => name.endsWith('.json')) ?? '');
  const receipt = sealedReceiptSchema.parse(JSON.parse(await readFile(file, 'utf8')));
  expect(receipt.code).toMatchObject([
    { commit: git('rev-parse', 'HEAD'), branch: 'main', localPath: path.join(workspace, 'code') },
  ]);
  expect(['clean', 'unknown']).toContain(receipt.code[0]?.tracked);
  expect(receipt.artifacts).toMatchObject([
    { localPath: path.join(workspace, 'out-1', 'out.json'), proof: 'loaded' },
  ]);

  const whole = await verify(receipts, '--files', workspace, '--json');
  expect(whole, whole.stdout).toMatchObject({ code: 0, stderr: '' });
  const told = JSON.parse(whole.stdout) as Verification;
  expect(told).toMatchObject({ ok: true, receipts: [{ sequence: 1 }, { sequence: 2 }] });
  expect(await readdir(root)).not.toContain('elsewhere');

  const people = await verify(receipts, '--files', workspace);
  expect(people.stdout).toContain('All proven: 2 receipts, 2 of 2 artifacts.');
  expect(people.stdout).toContain('The provider was not asked again');
  expect(people.stdout).toContain(told.receipts[1]?.sha256);

  // Outside the folders that are named nothing is read, and what was not read is not proven.
  const blind = await verify(receipts, '--workspace', workspace);
  expect(blind.code).toBe(1);
  expect(blind.stdout).toContain('artifact_elsewhere');
  const links = await verify(receipts, '--chain-only');
  expect(links.code).toBe(0);
  expect(links.stdout).toContain(
    'The chain holds: 2 receipts. Their artifacts were not looked at.',
  );
  expect(links.stdout).not.toContain('All proven');
  expect(await verify(file, '--files', path.join(workspace, 'out-1'))).toMatchObject({ code: 0 });

  const output = path.join(workspace, 'out-2', 'out.json');
  await appendFile(output, ' ');
  const changed = await verify(receipts, '--files', workspace);
  expect(changed.code).toBe(1);
  expect(changed.stdout).toContain(`artifact_changed (receipt 2) ${output}`);

  await writeFile(file, (await readFile(file, 'utf8')).replace('"usdPerHour":0', '"usdPerHour":9'));
  const edited = await verify(receipts, '--chain-only', '--json');
  expect(edited.code).toBe(1);
  expect(JSON.parse(edited.stdout)).toMatchObject({
    ok: false,
    findings: [{ finding: 'edited', file }],
  });
}, 120_000);

it('verify without words, with too many, a bad hash or no receipt says so', async () => {
  expect(await verify()).toMatchObject({ code: 2, stdout: '' });
  expect(await verify('a', 'b')).toMatchObject({ code: 2 });
  expect(await verify(root, '--head', 'abc')).toMatchObject({ code: 2 });
  expect(await verify(root, '--files', root, '--chain-only')).toMatchObject({ code: 2 });
  const none = await verify(root, '--json');
  expect(none.code).toBe(1);
  expect(JSON.parse(none.stdout)).toMatchObject({ error: { code: 'path_missing' } });
});

it('escape sequences in a name are not written to the terminal', async () => {
  const evil = path.join(workspace, '000001-x.json');
  await writeFile(evil, '{"format":"\u001b[31m"}');
  const folder = path.join(root, 'a\u001b[31mb');
  await mkdir(folder);
  await writeFile(path.join(folder, '000001-x.json'), 'no');
  for (const target of [workspace, folder]) {
    const said = await verify(target);
    expect(said.code).toBe(1);
    expect(said.stdout).toContain('unreadable');
    expect(said.stdout + said.stderr).not.toContain('\u001b');
  }
});
