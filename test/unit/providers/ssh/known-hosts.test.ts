import { createHmac, randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, it } from 'vitest';
import {
  findKnownHost,
  knownHostName,
  readKnownHost,
} from '../../../../src/providers/ssh/known-hosts.ts';
import { fc } from '../../../support/property.ts';

function keyOf(seed: number, type = 'ssh-ed25519'): string {
  const field = (bytes: Buffer): Buffer => {
    const size = Buffer.alloc(4);
    size.writeUInt32BE(bytes.length);
    return Buffer.concat([size, bytes]);
  };
  return Buffer.concat([field(Buffer.from(type)), field(Buffer.alloc(32, seed))]).toString(
    'base64',
  );
}
const [A, B] = [keyOf(1), keyOf(2)];
const hash = (name: string): string => {
  const salt = randomBytes(20);
  return `|1|${salt.toString('base64')}|${createHmac('sha1', salt).update(name).digest('base64')}`;
};

it('names a host as ssh does', () => {
  expect(knownHostName('GPU.example', 22)).toBe('gpu.example');
  expect(knownHostName('10.0.0.1', 2222)).toBe('[10.0.0.1]:2222');
  expect(knownHostName('fe80::1', 22)).toBe('fe80::1');
});

it.each([
  [`gpu ssh-ed25519 ${A}`, [A]],
  [`gpu,10.0.0.1 ssh-ed25519 ${A} a comment`, [A]],
  [`GPU ssh-ed25519 ${A}`, [A]],
  [`g?u ssh-ed25519 ${A}\ngp* ssh-ed25519 ${B}`, [A, B]],
  [`* ssh-ed25519 ${A}`, [A]],
  [`*,!gpu ssh-ed25519 ${A}`, []],
  [`!gpu,* ssh-ed25519 ${A}`, []],
  [`gpu2 ssh-ed25519 ${A}`, []],
  [`[gpu]:2222 ssh-ed25519 ${A}`, []],
  [`# gpu ssh-ed25519 ${A}`, []],
  [`#gpu ssh-ed25519 ${A}`, []],
  [`gpu ssh-rsa ${A}`, []],
  [`gpu ssh-ed25519 not-base64!`, []],
  [`gpu ssh-ed25519`, []],
  [`${hash('gpu')} ssh-ed25519 ${A}`, [A]],
  [`${hash('gpv')} ssh-ed25519 ${A}`, []],
  [`|2|aaaa|bbbb ssh-ed25519 ${A}`, []],
  [`@cert-authority gpu ssh-ed25519 ${A}`, []],
  [`gpu ssh-ed25519 ${A}\r\n\r\n`, [A]],
  [`\tgpu\tssh-ed25519\t${A}`, [A]],
])('%j lists %j for "gpu"', (text, keys) => {
  expect(findKnownHost(text, 'gpu')).toEqual({ keys, revoked: [] });
});

it('a revoked key counts no more, wherever its line stands', () => {
  const text = `@revoked gpu ssh-ed25519 ${A}\ngpu ssh-ed25519 ${A}\ngpu ssh-ed25519 ${B}`;
  expect(findKnownHost(text, 'gpu')).toEqual({ keys: [B], revoked: [A] });
});

it('finds its own entry, plain or hashed, among any other lines', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 40 })),
      fc.boolean(),
      fc.stringMatching(/^[a-z0-9.-]{1,30}$/),
      (noise, isHashed, name) => {
        const others = noise.filter((line) => !line.includes('ssh-ed25519'));
        const text = [...others, `${isHashed ? hash(name) : name} ssh-ed25519 ${A}`, ...others];
        expect(findKnownHost(text.join('\n'), name).keys).toEqual([A]);
      },
    ),
  );
});

it('a pattern full of stars ends in time', () => {
  const pattern = `${'a*'.repeat(200)}b`;
  const before = performance.now();
  expect(findKnownHost(`${pattern} ssh-ed25519 ${A}`, 'a'.repeat(2000)).keys).toEqual([]);
  expect(performance.now() - before).toBeLessThan(2000);
});

it('reads all files, and those that are not there say nothing', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'gl-known-'));
  try {
    const files = ['one', 'two', 'none'].map((name) => path.join(folder, name));
    await writeFile(files[0] ?? '', `gpu ssh-ed25519 ${A}`);
    await writeFile(files[1] ?? '', `gpu ssh-ed25519 ${B}\n`);
    expect((await readKnownHost(files, 'gpu')).keys).toEqual([A, B]);
    expect((await readKnownHost([folder], 'gpu')).keys).toEqual([]);
  } finally {
    await rm(folder, { recursive: true });
  }
});
