import { readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { runCli } from '../../../src/cli/run.ts';
import { writeVarsFile } from '../../../src/cli/sandbox/vars-file.ts';
import { randomToken } from '../../../src/core/ids.ts';
import type {
  BookedInstance,
  Sandbox,
  SandboxBooks,
  SandboxOptions,
  SeenRequest,
} from '../../../src/core/sandbox.ts';
import { testHost } from './host.ts';

const ESCAPE = String.fromCharCode(27);
const instance = (changes: Partial<BookedInstance> = {}): BookedInstance => ({
  id: '7',
  label: 'gl-x',
  gpu: '1 x RTX 4090',
  state: 'loading',
  billing: true,
  usdPerHour: 0.01,
  spentUsd: 0,
  billedSeconds: 0,
  createdAtSeconds: 0,
  ...changes,
});
const books = (instances: readonly BookedInstance[]): SandboxBooks => ({
  nowSeconds: 1_800_000_000,
  speed: 60,
  clouds: [
    { cloud: 'vast', instances, usdPerHour: 0.35, spentUsd: 1.5, creditUsd: 98.5, billingCount: 1 },
  ],
});

/** Runs the command on a sandbox that goes through these books, and is interrupted after the last. */
async function run(
  scenes: readonly (readonly BookedInstance[])[],
  argv: readonly string[] = [],
  overrides: Parameters<typeof testHost>[0] = {},
) {
  const interrupt = new AbortController();
  const asked: SandboxOptions[] = [];
  let ended = 0;
  let scene = 0;
  const seen: SeenRequest = { at: 1_800_000_000, cloud: 'vast', method: 'PUT', path: '/api/x' };
  const open = async (options: SandboxOptions): Promise<Sandbox> => {
    asked.push(options);
    return Promise.resolve({
      origins: [
        {
          cloud: 'vast',
          url: 'http://127.0.0.1:1',
          variables: { VAST_API_KEY: "it's", VAST_URL: 'u' },
        },
      ],
      folder: '/nowhere',
      swept: 2,
      books() {
        const now = scenes[Math.min(scene, scenes.length - 1)] ?? [];
        scene += 1;
        options.onRequest?.(scene === 1 ? { ...seen, fault: 'stall' } : { ...seen, status: 200 });
        if (scene === 2) options.onFailure?.(new Error(`inner ${ESCAPE}[31mtrouble`));
        if (scene > scenes.length) interrupt.abort();
        return books(now);
      },
      requests: () => Array.from({ length: 20 }, () => ({ ...seen, status: 200 })),
      addFault: () => undefined,
      advance: async () => Promise.resolve(),
      end: async () => {
        ended += 1;
        return Promise.resolve(3);
      },
      [Symbol.asyncDispose]: async () => Promise.resolve(),
    });
  };
  const host = testHost({
    signal: interrupt.signal,
    sandbox: async () => Promise.resolve({ faultKinds: [], open }),
    ...overrides,
  });
  const code = await runCli(['sandbox', ...argv], host);
  return { code, asked, ended, text: host.written(), complaints: host.complaints() };
}

describe('gpu-lease sandbox', () => {
  it('prints what to export, then a line for each request and each change of an instance', async () => {
    const { code, text, complaints, ended } = await run([
      [instance()],
      [instance()],
      [instance({ state: 'running', usdPerHour: 0.35 })],
      [instance({ state: 'destroyed', billing: false, usdPerHour: 0, spentUsd: 0.0123 })],
    ]);
    expect(code).toBe(0);
    expect(ended).toBe(1);
    expect(text).toContain("  export VAST_API_KEY='it'\\''s'\n  export VAST_URL=u\n");
    expect(text).toContain('2 machines that an earlier sandbox had left were ended.');
    expect(text.match(/^7: .*$/gm)).toEqual([
      '7: loading, $0.0100 per hour, $0.00 so far, gl-x',
      '7: loading -> running, $0.3500 per hour, $0.00 so far, gl-x',
      '7: running -> destroyed, nothing charged, $0.0123 so far, gl-x',
    ]);
    expect(text).toMatch(/stall PUT +\/api\/x/);
    expect(text).toMatch(/200 +PUT +\/api\/x/);
    expect(text).toContain('3 machines destroyed, $1.50 of made-up money billed.');
    expect(complaints).toContain('The sandbox itself failed: inner');
    expect(text + complaints).not.toContain(ESCAPE);
  });

  it('says the same in JSON, one event a line', async () => {
    const { text } = await run([[instance()], [instance({ state: 'running' })]], ['--json']);
    const events = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { event: string });
    expect(events[0]).toMatchObject({ event: 'started', variables: { VAST_URL: 'u' }, swept: 2 });
    expect(events.filter(({ event }) => event === 'instance')).toMatchObject([
      { id: '7', state: 'loading' },
      { id: '7', state: 'running', was: 'loading' },
    ]);
    expect(events.some(({ event }) => event === 'failure')).toBe(true);
    expect(events.at(-1)).toEqual({ event: 'ended', destroyed: 3, spentUsd: 1.5 });
  });

  it('draws one picture over the other on a terminal, never more than it holds', async () => {
    const many = Array.from({ length: 40 }, (_, index) =>
      instance({ id: String(index), label: `evil${ESCAPE}[2J` }),
    );
    const { text } = await run([many, many, many], [], { interactive: true });
    const pictures = text.split(`${ESCAPE}[?7l`).slice(1);
    expect(pictures.length).toBeGreaterThanOrEqual(2);
    const [first = ''] = pictures;
    const height = first.split(`${ESCAPE}[?7h`)[0]?.split('\n').length ?? 0;
    expect(height).toBeLessThanOrEqual(24);
    expect(first).toContain(`${ESCAPE}[${height - 1}A`);
    expect(first).toContain('and 32 more');
    expect(text).not.toContain(`${ESCAPE}[2J`);
  });

  it('passes on what was asked for', async () => {
    const { asked } = await run(
      [[]],
      [
        ['--speed', '60'],
        ['--seed', '9'],
        ['--offers', '20'],
        ['--credit=-5'],
        ['--chaos', '0.5'],
        ['--machine-minutes', '0.1'],
        ['--fault', 'exits+30@5'],
        ['--fault', 'stall'],
        ['--once'],
      ].flat(),
    );
    expect(asked).toMatchObject([
      {
        speed: 60,
        seed: 9,
        offers: 20,
        creditUsd: -5,
        chaos: 0.5,
        machineSeconds: 6,
        faults: [{ kind: 'exits', afterSeconds: 30, offerId: '5' }, { kind: 'stall' }],
      },
    ]);
  });

  it('takes its variables file away at the end, unless somebody changed it', async () => {
    const file = path.join(tmpdir(), `gpu-lease-vars-${randomToken()}`);
    await run([[]], ['--vars-file', file, '--once']);
    await expect(readFile(file)).rejects.toThrow('ENOENT');
    const vars = await writeVarsFile(file, ['export A=1']);
    expect(await readFile(file, 'utf8')).toBe('export A=1\n');
    await writeFile(file, 'mine');
    await vars[Symbol.asyncDispose]();
    expect(await readFile(file, 'utf8')).toBe('mine');
    await rm(file);
  });
});
