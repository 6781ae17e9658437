import { describe, expect, it } from 'vitest';
import { isAppError } from '../../../src/core/errors.ts';
import { podIdSchema } from '../../../src/core/ids.ts';
import type { JobRequest } from '../../../src/core/job.ts';
import { isPlainSecret, shortSecretWords } from '../../../src/core/plain-secrets.ts';
import { checkRequest } from '../../../src/jobs/limits.ts';

const VALUES: Readonly<Record<string, string>> = { LONG: 'a-long-value', PIN: '1234', EMPTY: '' };
const check = (changes: Partial<JobRequest>): Readonly<Record<string, string>> =>
  checkRequest(
    {
      podId: podIdSchema.parse('local:one'),
      command: 'true',
      env: {},
      secretEnv: [],
      artifacts: [],
      maxRuntimeMinutes: 5,
      ...changes,
    },
    { value: (name) => VALUES[name] },
  );

/** Everything that a refusal says. */
function refusal(changes: Partial<JobRequest>): string {
  try {
    check(changes);
  } catch (failure) {
    if (isAppError(failure))
      return [failure.code, failure.message, failure.hint, failure.foreignText].join(' ');
    throw failure;
  }
  throw new Error('It was not refused.');
}

describe('secrets of a job', () => {
  it('are taken by name, and refused where nothing is behind the name [SC-01]', () => {
    expect(check({ secretEnv: ['LONG', 'PIN'] })).toEqual({ LONG: 'a-long-value', PIN: '1234' });
    for (const name of ['EMPTY', 'MISSING'])
      expect(refusal({ secretEnv: [name] })).toMatch(new RegExp(`^config_missing .*"${name}"`));
  });

  it.each([
    ['HF_TOKEN', 'correct horse'],
    ['A', 'hf_abcdefghijklmnopqrstuvwx'],
    ['WANDB_API_KEY', '0123456789abcdef'],
  ])('%s in env is refused, and its value is not said [CR-25]', (name, value) => {
    const said = refusal({ env: { [name]: value } });
    expect(said).toMatch(new RegExp(`^secret_refused .*env ${name} `));
    expect(said).not.toContain(value);
  });

  it('ordinary variables pass', () => {
    for (const [name, value] of Object.entries({
      TOKENIZERS_PARALLELISM: 'false',
      WANDB_API_KEY: 'offline',
      MAX_TOKENS: '100000000',
      HF_HOME: '/workspace/hf',
    }))
      expect(isPlainSecret(name, value), name).toBe(false);
  });

  it('that are too short to be masked are named, never said [TR-05]', () => {
    expect(shortSecretWords({ LONG: 'a-long-value' })).toBeUndefined();
    const words = shortSecretWords({ LONG: 'a-long-value', PIN: '1234', CODE: '99999' });
    expect(words).toContain('PIN, CODE');
    expect(words).not.toMatch(/1234|99999|LONG/);
  });
});
