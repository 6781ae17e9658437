import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { relativePattern, selects } from '../../../src/files/patterns.ts';
import { parseListing } from '../../../src/files/pod-listing.ts';
import { isPlainRelative, resolveRemoteTarget } from '../../../src/files/remote-target.ts';
import { createRules } from '../../../src/files/rules.ts';
import { countLines, createSecretScanner, secretIn } from '../../../src/files/secrets.ts';
import { planSync } from '../../../src/files/sync-plan.ts';
import { fc } from '../../support/property.ts';

const folders = { work: '/workspace', home: '/root' };
const part = fc.constantFrom(
  '..',
  '.',
  '',
  'a',
  'out',
  '~',
  '.ssh',
  'etc',
  'x y',
  '$HOME',
  '*',
  '[a]',
  '{a,b}',
);
const anyPath = fc.oneof(
  fc.string(),
  fc.array(part, { maxLength: 6 }).map((parts) => parts.join('/')),
);

describe('remote targets', () => {
  it.each([
    '/',
    '//',
    '/root',
    '/root/',
    '/home',
    '/home/ada',
    '/etc',
    '/etc/x',
    '/usr/lib',
    '/var/lib/x',
    '/tmp',
    '/proc/1',
    '~',
    '~/.ssh',
    '~/.ssh/x',
    '~/.config',
    '/root/.gpu-lease/x',
    '/workspace/../etc',
    '../x',
    'a/../../x',
    'x\0y',
    '/root/.bashrc',
    '/dev/shm/x',
    '/home/ada/.ssh',
  ])('%j is refused [SY-09]', (remotePath) => {
    expect(() => resolveRemoteTarget(remotePath, folders)).toThrow(
      expect.objectContaining({ code: 'invalid_input' }) as Error,
    );
  });

  it.each([
    ['.', '/workspace'],
    ['project/', '/workspace/project'],
    ['/workspace/a/../b', '/workspace/b'],
    ['~/project', '/root/project'],
    ['~/.cache/hub', '/root/.cache/hub'],
    ['/data', '/data'],
    ['/home/ada/project', '/home/ada/project'],
    ['/var/tmp/x', '/var/tmp/x'],
  ])('%j is %s', (remotePath, target) => {
    expect(resolveRemoteTarget(remotePath, folders)).toBe(target);
  });

  it('no relative path leaves the work folder', () => {
    fc.assert(
      fc.property(anyPath, (remotePath) => {
        fc.pre(!remotePath.startsWith('/') && !/^~(?:\/|$)/.test(remotePath));
        let target = '';
        try {
          target = resolveRemoteTarget(remotePath, folders);
        } catch {
          return;
        }
        expect(target === '/workspace' || target.startsWith('/workspace/')).toBe(true);
        expect(target.split('/')).not.toContain('..');
      }),
    );
  });
});

describe('what a pod says', () => {
  it('no listed name escapes a destination', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyPath, fc.nat(9))), (names) => {
        const output = Buffer.from(
          names.map(([name, size]) => `f ${size} 1/1/1\0${name}\0`).join(''),
        );
        for (const { path: name } of parseListing(output).entries) {
          expect(isPlainRelative(name)).toBe(true);
          expect(path.resolve('/dest', name).startsWith('/dest/')).toBe(true);
        }
      }),
    );
  });

  it('any bytes are a listing', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        for (const entry of parseListing(Buffer.from(bytes)).entries)
          expect(isPlainRelative(entry.path)).toBe(true);
      }),
    );
  });

  it('no asked pattern leaves its root', () => {
    fc.assert(
      fc.property(anyPath, (pattern) => {
        let relative = '';
        try {
          relative = relativePattern('/workspace/job', pattern);
        } catch {
          return;
        }
        expect(relative === '' || isPlainRelative(relative)).toBe(true);
      }),
    );
  });

  it('a plain path selects itself and what is below, never a namesake', () => {
    expect(['out', 'out/a', 'out2', 'x/out'].filter(selects('out'))).toEqual(['out', 'out/a']);
    expect(['a.pt', 'd/a.pt', '.h.pt'].filter(selects('*.pt'))).toEqual(['a.pt', '.h.pt']);
    expect(['d/a.pt', 'd/e/a.pt'].filter(selects('d/**/*.pt'))).toEqual(['d/a.pt', 'd/e/a.pt']);
  });
});

describe('rules', () => {
  it('default excludes hold at any depth and only a named include lifts one [SY-02, SY-03]', () => {
    const rules = createRules({ include: [], exclude: [] });
    for (const name of ['.git', 'a/b/node_modules', 'x/__pycache__', 'x/.venv'])
      expect(rules.whyNot(name, true)).toMatch(/^default/);
    const wide = createRules({ include: ['**'], exclude: [] });
    expect(wide.whyNot('a/node_modules/m.js', false)).toMatch(/^default/);
    const named = createRules({ include: ['node_modules/m.js'], exclude: [] });
    expect(named.whyNot('node_modules', true)).toBeUndefined();
    expect(named.whyNot('node_modules/m.js', false)).toBeUndefined();
  });

  it('git rules: parents first, deeper files last, negation, anchors', () => {
    const rules = createRules({ include: [], exclude: [] });
    rules.addGitignore('', '*.log\n/only-root\n!keep.log\nfolder/\n');
    rules.addGitignore('sub', '!special.log\n/inner\n');
    const ignored = (name: string): boolean => rules.whyNot(name, false) !== undefined;
    expect(ignored('a.log')).toBe(true);
    expect(ignored('keep.log')).toBe(false);
    expect(ignored('sub/special.log')).toBe(false);
    expect(ignored('sub/other.log')).toBe(true);
    expect(ignored('only-root')).toBe(true);
    expect(ignored('sub/only-root')).toBe(false);
    expect(ignored('sub/inner')).toBe(true);
    expect(ignored('inner')).toBe(false);
    expect(rules.whyNot('folder', true)).toBe('.gitignore');
    expect(ignored('folder')).toBe(false);
  });
});

describe('secrets', () => {
  it('a token is found however the file is cut into chunks, with its line [SY-18]', () => {
    const token = 'hf_abcdefghijklmnopqrstuvwxyz0123';
    fc.assert(
      fc.property(
        fc.nat(40),
        fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 }),
        (lines, sizes) => {
          const text = Buffer.from(`${'some line of code\n'.repeat(lines)}x = "${token}"\nmore\n`);
          const scanner = createSecretScanner();
          for (let at = 0, turn = 0; at < text.length; turn += 1) {
            const size = sizes[turn % sizes.length] ?? 1;
            scanner.add(text.subarray(at, at + size));
            at += size;
          }
          const at = text.indexOf(token);
          expect(scanner.finding()).toEqual({ kind: 'Hugging Face token', at });
          expect(countLines(text.subarray(0, at))).toBe(lines);
        },
      ),
    );
  });

  it('what is skipped holds none: the same is found as by looking at every byte [SY-18]', () => {
    const shapes: readonly (readonly [string, RegExp])[] = [
      ['Hugging Face token', /\bhf_[A-Za-z0-9]{20,}/],
      ['AWS access key', /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/],
      ['private key', /-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----/],
    ];
    const words = [
      ...['-----BEGIN ', 'PRIVATE KEY-----', '-----BEGIN PRIVATE KEY-----', 'RSA ', 'OPENSSH '],
      ...['AKIA', 'ABCDEFGHIJKLMNOP', '0123456789ABCDEF', 'hf_', 'abcdefghij0123456789'],
      ...[
        'a',
        'A',
        '-',
        '_',
        '9',
        ' ',
        '\n',
        '.',
        '\0',
        '\u00ff',
        '--------',
        'QUITE A LOT OF CAPS ',
      ],
    ];
    const word = fc.tuple(fc.constantFrom(...words), fc.constantFrom(0, 0, 0, 0, 1, 6));
    let secrets = 0;
    fc.assert(
      fc.property(fc.array(word, { maxLength: 24 }), (picked) => {
        const text = picked.map(([each, cut]) => each.slice(cut % each.length)).join('');
        const found = shapes
          .map(([kind, shape]) => ({ kind, at: text.search(shape) }))
          .filter(({ at }) => at >= 0)
          .toSorted((one, other) => one.at - other.at)[0];
        if (found !== undefined) secrets += 1;
        expect(secretIn('', Buffer.from(text, 'latin1'))).toEqual(found);
      }),
      { numRuns: 5000 },
    );
    expect(secrets).toBeGreaterThan(100);
  });

  it('ordinary words are no secrets', () => {
    for (const text of [
      'sk-learn-compatible-estimators',
      'hf_hub',
      'task_ghp_',
      'import npm_config',
    ]) {
      const scanner = createSecretScanner();
      scanner.add(Buffer.from(text));
      expect(scanner.finding()).toBeUndefined();
    }
  });
});

describe('plan', () => {
  it('only what the pod hashed equal is unchanged [SY-12]', () => {
    const file = (name: string) => ({ path: name, sha256: `h-${name}`, executable: false });
    const facts = new Map([
      ['same', { sha256: 'h-same', executable: false, conflict: false }],
      ['other', { sha256: 'h-x', executable: false, conflict: false }],
      ['bit', { sha256: 'h-bit', executable: true, conflict: false }],
      ['folder', { executable: false, conflict: true }],
    ]);
    const files = ['same', 'other', 'bit', 'folder', 'new'].map(file);
    const plan = planSync(files as unknown as Parameters<typeof planSync>[0], facts);
    expect(plan.unchanged.map((item) => item.path)).toEqual(['same']);
    expect(plan.send.map((item) => item.path)).toEqual(['other', 'bit', 'new']);
    expect(plan.conflicts).toEqual(['folder']);
  });
});
