import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { variablesOfHome } from '../../../../src/pod/login-files.ts';
import { environmentScript } from '../../../../src/providers/vast/environment.ts';
import { fc } from '../../../support/property.ts';

const home = mkdtempSync(path.join(tmpdir(), 'vast-env-'));
mkdirSync(path.join(home, '.ssh'));
const file = path.join(home, '.ssh', 'environment');
afterAll(() => {
  rmSync(home, { recursive: true });
});
beforeEach(() => {
  rmSync(file, { force: true });
});

/** Boots with these variables, as a container would, and answers what a login sees then. */
function boot(
  env: Readonly<Record<string, string>>,
  names: readonly string[] = Object.keys(env),
): readonly (readonly [string, string])[] {
  const script = environmentScript(names).replaceAll('/etc/environment', file);
  const { status, stdout, stderr } = spawnSync('sh', ['-c', `${script}:`], {
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
  });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' });
  return variablesOfHome(home);
}

describe('the variables of the container reach every login (vast.md 14)', () => {
  it('with their own value, whatever is in it, and for its owner only', () => {
    const value = fc
      .string({ minLength: 1, maxLength: 40 })
      .filter((text) => !/[\0\n\r]/.test(text) && text === text.trim());
    fc.assert(
      fc.property(value, (text) => {
        expect(boot({ GREETING: text })).toEqual([['GREETING', text]]);
        expect(statSync(file).mode & 0o777).toBe(0o600);
      }),
      { numRuns: 40 },
    );
    for (const text of [`it's "$HOME" \`id\` $(id) \\ #`, "'", '"', '$(touch /tmp/x)'])
      expect(boot({ GREETING: text })).toEqual([['GREETING', text]]);
  });

  it('once, however often the container starts; the lines of others stay', () => {
    writeFileSync(file, 'LANG=C\nexport GREETING=old\nGREETINGS=other\n');
    boot({ GREETING: 'hi', B: 'b' });
    boot({ GREETING: 'ho', B: 'b' });
    expect(readFileSync(file, 'utf8')).toBe("LANG=C\nGREETINGS=other\nGREETING='ho'\nB='b'\n");
  });

  it('but no value that would be cut, and none that was not asked for', () => {
    expect(boot({ A: 'two\nlines', B: 'b', C: 'not asked' }, ['A', 'B', 'MISSING'])).toEqual([
      ['B', 'b'],
    ]);
  });

  it('holds no value, and is nothing where no name is', () => {
    expect(environmentScript([])).toBe('');
    expect(environmentScript(['HF_TOKEN'])).not.toContain('hf_');
  });
});
