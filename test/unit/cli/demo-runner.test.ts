import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { type Demo, runDemo } from '../../../src/cli/demo/runner.ts';
import type { OpenServer, ServerSpec, ToolAnswer } from '../../../src/cli/demo/server.ts';
import { check, type Step } from '../../../src/cli/demo/step.ts';
import { createOutput } from '../../../src/cli/output.ts';
import { ManualClock } from '../../support/clock.ts';

let root = '';
let example = '';
beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'gpu-lease-runner-'));
  example = path.join(root, 'example');
  await mkdir(path.join(example, 'runs'), { recursive: true });
  await writeFile(path.join(example, 'train.mjs'), '');
  await writeFile(path.join(example, 'runs', 'old'), '');
});
afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const anything = z.object({});
const step = (title: string, run: Step['run']): Step => ({ title, run });

/** A demo whose server answers from `answers`, or with a plain success. */
function demoOf(
  steps: readonly Step[],
  answers: Readonly<Record<string, ToolAnswer>> = {},
  overrides: Partial<Demo> = {},
) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const written: string[] = [];
  const complaints: string[] = [];
  stdout.on('data', (chunk: Buffer) => written.push(chunk.toString()));
  stderr.on('data', (chunk: Buffer) => complaints.push(chunk.toString()));
  const calls: (readonly [string, unknown])[] = [];
  const specs: ServerSpec[] = [];
  const open: OpenServer = async (spec) => {
    specs.push(spec);
    return Promise.resolve({
      pid: 0,
      protocol: '2026-07-28',
      tools: [{ name: 'a' }, { name: 'b' }],
      call: async (tool, input) => {
        calls.push([tool, input]);
        return Promise.resolve(
          answers[tool] ?? { isError: false, data: { summary: `${tool} is fine.` } },
        );
      },
      kill: async () => Promise.resolve(),
      close: async () => Promise.resolve(),
    });
  };
  const demo: Demo = {
    steps,
    open,
    spec: { nodePath: process.execPath, mainPath: '/x/dist/main.js', version: '1.2.3' },
    example: { folder: example, name: 'tiny' },
    out: createOutput({ stdout, stderr, json: true, colour: false }),
    clock: new ManualClock(),
    signal: new AbortController().signal,
    keep: false,
    ...overrides,
  };
  const lines = (): readonly unknown[] =>
    written
      .join('')
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line));
  return { demo, calls, specs, lines, complaints: () => complaints.join('') };
}

const exists = async (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );

describe('runDemo', () => {
  it('plays the steps, passes facts on, tells each in JSON, and removes its folders', async () => {
    const seen: string[] = [];
    const { demo, specs, lines } = demoOf([
      step('one', async (day) => {
        await day.call('find_offer', {}, anything);
        day.remember('podId', 'local:x');
        day.held(5, 'late');
        day.held(1, 'early');
      }),
      step('two', async (day) => {
        seen.push(day.recall('podId'), ...(await readdir(path.join(day.workspace, 'tiny'))));
      }),
    ]);
    expect(await runDemo(demo)).toBe(true);
    // Old results of the example are not part of the day.
    expect(seen).toEqual(['local:x', 'train.mjs']);
    expect(lines()).toMatchObject([
      { demo: 'started', protocol: '2026-07-28', tools: 2 },
      { step: 1, title: 'one', ok: true, calls: [{ tool: 'find_offer' }] },
      { step: 2, title: 'two', ok: true },
      { demo: 'passed', promises: [{ promise: 1 }, { promise: 5, evidence: 'late' }] },
    ]);
    expect(await exists(specs[0]?.home ?? '/')).toBe(false);
  });

  it('keeps the folders when asked', async () => {
    const { demo, specs, lines } = demoOf([], {}, { keep: true });
    expect(await runDemo(demo)).toBe(true);
    const kept = path.dirname(specs[0]?.home ?? '');
    expect(lines().at(-1)).toMatchObject({ keptAt: kept });
    expect(await exists(kept)).toBe(true);
    await rm(kept, { recursive: true });
  });

  it('a failed expectation is told, later steps do not run, and the pods are destroyed', async () => {
    const { demo, calls, lines, complaints } = demoOf(
      [
        step('one', async () => {
          await Promise.resolve();
          check([].length > 0, 'one is more than none');
        }),
        step('two', async (day) => {
          await day.call('never', {}, anything);
        }),
      ],
      {
        list_pods: {
          isError: false,
          data: { summary: '', pods: [{ podId: 'local:x', status: 'ready' }] },
        },
      },
    );
    expect(await runDemo(demo)).toBe(false);
    expect(lines()).toMatchObject([
      { demo: 'started' },
      { step: 1, ok: false, expected: 'one is more than none' },
      { demo: 'failed' },
    ]);
    expect(calls).toEqual([
      ['list_pods', {}],
      [
        'destroy',
        {
          podId: 'local:x',
          discardUnfetched: true,
          reason: 'The demo was cut short.',
          waitSeconds: 40,
        },
      ],
    ]);
    expect(complaints()).toContain('nothing is left running');
  });

  it.each([
    [
      'an error result',
      { isError: true, data: { code: 'no_capacity', message: 'No.', hint: 'Wait.' } },
      'no_capacity: No. Wait.',
    ],
    ['an unknown shape', { isError: false, data: { summary: 'ok' } }, 'documented shape'],
    ['nothing', { isError: false, data: undefined }, 'documented shape'],
  ])('%s of a tool ends the demo', async (_what, answer, words) => {
    const { demo, lines } = demoOf(
      [
        step('one', async (day) => {
          await day.call('t', {}, z.object({ field: z.string() }));
        }),
      ],
      { t: answer },
    );
    expect(await runDemo(demo)).toBe(false);
    expect(JSON.stringify(lines()[1])).toContain(words);
  });

  it('an interrupt ends the demo and still cleans up', async () => {
    const interrupt = new AbortController();
    const { demo, calls, lines } = demoOf(
      [
        step('one', async (day) => {
          interrupt.abort();
          await day.clock.sleep(60, { signal: day.signal });
        }),
      ],
      {},
      { signal: interrupt.signal },
    );
    expect(await runDemo(demo)).toBe(false);
    expect(calls.map(([tool]) => tool)).toEqual(['list_pods']);
    expect(JSON.stringify(lines()[1])).toContain('interrupted');
  });

  it('a process left behind fails the demo, and is ended', async () => {
    const children: ReturnType<typeof spawn>[] = [];
    const { demo, specs, lines } = demoOf([
      step('leak', async () => {
        const child = spawn('sleep', ['60'], { env: { ...process.env, LEAK: specs[0]?.home } });
        children.push(child);
        await once(child, 'spawn');
      }),
    ]);
    expect(await runDemo(demo)).toBe(false);
    expect(JSON.stringify(lines().at(-2))).toContain('no process of a pod is left');
    const [child] = children;
    if (child?.exitCode === null && child.signalCode === null) await once(child, 'exit');
    expect(child?.signalCode).toBe('SIGKILL');
  });

  it('says what is missing when the package has no example', async () => {
    const { demo } = demoOf([], {}, { example: { folder: path.join(root, 'gone'), name: 'x' } });
    await expect(runDemo(demo)).rejects.toMatchObject({ code: 'path_missing' });
  });
});
