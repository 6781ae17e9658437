import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { processesMentioning } from '../../src/cli/demo/leftovers.ts';
import { PROMISES } from '../../src/cli/demo/step.ts';

const MAIN = path.resolve(import.meta.dirname, '../../dist/main.js');
const LIMIT_MS = 170_000;

let root = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-e2e-'));
});
afterEach(async () => {
  expect(await processesMentioning(root, 'command_or_environment')).toEqual([]);
  await rm(root, { recursive: true, force: true });
});

function startDemo(...argv: readonly string[]): {
  readonly child: ChildProcess;
  readonly text: () => string;
} {
  const child = spawn(process.execPath, [MAIN, 'demo', ...argv], {
    cwd: root,
    env: { PATH: process.env['PATH'], HOME: root, TMPDIR: root },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let text = '';
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
  return { child, text: () => text };
}

async function exitCode(child: ChildProcess): Promise<unknown> {
  return child.exitCode ?? (await once(child, 'exit'))[0];
}

describe('gpu-lease demo', () => {
  it.each([
    ['the SDK client on 2026-07-28', '2026'],
    ['raw JSON-RPC on 2025-06-18', '2025'],
  ])(
    'the whole day with %s: every promise seen, nothing left',
    async (_name, era) => {
      const { child, text } = startDemo('--era', era);
      const code = await exitCode(child);
      expect(code, text()).toBe(0);
      const summary = text().slice(text().indexOf('Every promise, as it was seen'));
      for (const [number, name] of Object.entries(PROMISES))
        expect(summary).toMatch(new RegExp(`✓ +${number} ${name}`));
      expect(summary).toContain('No pod, no process and no folder is left.');
      expect(await readdir(root)).toEqual([]);
    },
    LIMIT_MS,
  );

  it(
    'an interrupt in the middle leaves nothing behind and exits 1',
    async () => {
      const { child, text } = startDemo('--json');
      const ended = once(child, 'exit');
      while (!text().includes('"job_start"') && child.exitCode === null)
        await Promise.race([ended, once(child.stdout ?? child, 'data')]);
      child.kill('SIGINT');
      expect(await exitCode(child), text()).toBe(1);
      expect(text()).toContain('interrupted');
      expect(await readdir(root)).toEqual([]);
    },
    LIMIT_MS,
  );
});
