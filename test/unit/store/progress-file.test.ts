import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createProgressFile } from '../../../src/store/progress-file.ts';
import { ManualClock } from '../../support/clock.ts';

let folder: string;
let file: string;
const clock = new ManualClock();
const sink = (target = file) =>
  createProgressFile({
    file: target,
    clock,
    redact: (text) => text.replaceAll('hush', '[redacted]'),
  });
const lines = async () =>
  (await readFile(file, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { kind: string; message: string });

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'progress-'));
  file = path.join(folder, 'events.jsonl');
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

describe('the progress file', () => {
  it('holds one JSON line per event, private and redacted [PG-01] [PG-02] [PG-06] [SA-06]', async () => {
    sink()({ kind: 'started', message: 'a\nb hush', slot: 's', current: 1, total: 2 });
    expect(await lines()).toMatchObject([
      { kind: 'started', message: 'a\nb [redacted]', total: 2 },
    ]);
    expect((await stat(file)).mode & 0o077).toBe(0);
  });

  it('thins progress of one slot, never warnings and questions [PG-04]', async () => {
    const write = sink();
    for (let n = 0; n < 5; n += 1) write({ kind: 'progress', message: `p${n}`, slot: 's' });
    write({ kind: 'warning', message: 'w', slot: 's' });
    write({ kind: 'needs_input', message: 'q', slot: 's' });
    clock.advance(2);
    write({ kind: 'progress', message: 'later', slot: 's' });
    expect((await lines()).map(({ message }) => message)).toEqual(['p0', 'w', 'q', 'later']);
  });

  it('is bounded [PG-05]', async () => {
    await writeFile(file, Buffer.alloc((4 << 20) + 1, '\n'));
    const write = sink();
    write({ kind: 'progress', message: 'dropped' });
    write({ kind: 'warning', message: 'kept' });
    expect((await readFile(file, 'utf8')).trim().split('\n')).toHaveLength(1);
  });

  it('never fails the work when the file cannot be written [PG-08]', () => {
    expect(() => {
      sink(path.join(folder, 'no', 'such', 'folder'))({ kind: 'started', message: 'x' });
    }).not.toThrow();
    expect(() => {
      sink(folder)({ kind: 'started', message: 'x' });
    }).not.toThrow();
  });
});
