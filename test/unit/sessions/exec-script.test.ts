import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import os from 'node:os';
import { describe, expect, it } from 'vitest';
import { randomToken } from '../../../src/core/ids.ts';
import {
  EXEC_VARIABLE,
  execCommand,
  killScript,
  loginShellQuote,
} from '../../../src/sessions/pod-script/exec.ts';
import { createBoundedBuffer, createPreamble } from '../../../src/sessions/preamble.ts';
import { fc } from '../../support/property.ts';

const NICE_BEFORE = os.getPriority(process.pid);
const text = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom("'", '\\', '!', '"', '$', '`', '\n', ' '),
      fc.string({ unit: 'grapheme', minLength: 1, maxLength: 1 }),
    ),
  })
  .filter((word) => !word.includes('\0'));

describe('loginShellQuote', () => {
  it.each(['sh', 'bash'])('is one word that %s reads back unchanged [SA-04]', (shell) => {
    fc.assert(
      fc.property(text, (word) => {
        const quoted = word === '' ? "''" : loginShellQuote(word);
        const out = execFileSync(shell, ['-c', `printf %s ${quoted}`]);
        expect(out.equals(Buffer.from(word))).toBe(true);
      }),
      { numRuns: 60 },
    );
  });
});

describe('execCommand', () => {
  it('keeps to one packet that every SSH server takes; the rest goes first on stdin', () => {
    for (const length of [10, 29_000, 31_000, 110_000]) {
      const { command, stdinPrefix } = execCommand(
        `: ${'x'.repeat(length)}\necho "$(cat)"`,
        'token',
      );
      expect(Buffer.byteLength(command)).toBeLessThanOrEqual(30_000);
      const out = execFileSync('sh', ['-c', command], {
        input: Buffer.concat([stdinPrefix ?? Buffer.alloc(0), Buffer.from('its input')]),
        stdio: ['pipe', 'pipe', 'ignore'],
      });
      expect(out.toString()).toMatch(/^token \d+\nits input\n$/);
    }
  });

  it.each(['sh', 'bash'])('what gives way runs the same under %s, under whatever', (shell) => {
    const { command } = execCommand('echo "$# $l."; cat; exit 7', 'token', true);
    const { status, stdout, stderr } = spawnSync(shell, ['-c', command], { input: 'its input' });
    expect(stdout.toString()).toMatch(/^token \d+\n0 \.\nits input$/);
    expect(stderr.toString()).toBe('token\n');
    expect(status).toBe(7);
    expect(os.getPriority(process.pid)).toBe(NICE_BEFORE);
  });
});

describe('killScript', () => {
  it('finds a command whose pid nobody knows, though it runs nothing but its own shell', async () => {
    const token = randomToken(20);
    const start = async (own: string): Promise<ReturnType<typeof spawn>> => {
      const child = spawn(
        'sh',
        ['-c', execCommand('while :; do read -r x || :; done', own).command],
        {
          stdio: ['pipe', 'pipe', 'ignore'],
        },
      );
      await once(child.stdout, 'data');
      return child;
    };
    const [sought, other] = [await start(token), await start(randomToken(20))];
    const ended = once(sought, 'exit');
    const said = execFileSync('sh', ['-c', killScript(EXEC_VARIABLE, token, 0)]).toString();
    expect(said).toBe('gone\n');
    expect((await ended)[1]).toBe('SIGTERM');
    expect(other.exitCode ?? other.signalCode).toBeNull();
    other.kill('SIGKILL');
    await once(other, 'exit');
  });
});

describe('createPreamble', () => {
  it('drops the noise and passes every byte of the script, however it is cut', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.uint8Array({ maxLength: 300 }),
        fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
        (noise, body, cuts) => {
          const whole = Buffer.concat([noise, Buffer.from('the_random_token 4711\n'), body]);
          const preamble = createPreamble('the_random_token');
          const parts: Buffer[] = [];
          for (let at = 0, turn = 0; at < whole.length; turn += 1) {
            const size = cuts[turn % cuts.length] ?? 1;
            const bytes = preamble.push(whole.subarray(at, at + size));
            if (bytes !== undefined) parts.push(bytes);
            at += size;
          }
          expect(preamble.word).toBe('4711');
          expect(Buffer.concat(parts).equals(Buffer.from(body))).toBe(true);
        },
      ),
    );
  });

  it('outlives megabytes of noise', () => {
    const preamble = createPreamble('the_random_token');
    for (let piece = 0; piece < 100; piece += 1) preamble.push(Buffer.alloc(65_537, 'n'));
    expect(preamble.push(Buffer.from('the_random_'))).toBeUndefined();
    expect(preamble.push(Buffer.from('token 12\nbody'))?.toString()).toBe('body');
  });
});

it('createBoundedBuffer keeps the first bytes and counts the others', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), fc.nat(200), (chunks, max) => {
      const bounded = createBoundedBuffer(max);
      for (const chunk of chunks) bounded.add(Buffer.from(chunk));
      const all = Buffer.concat(chunks);
      expect(bounded.bytes().equals(all.subarray(0, max))).toBe(true);
      expect(bounded.droppedBytes).toBe(Math.max(0, all.length - max));
    }),
  );
});
