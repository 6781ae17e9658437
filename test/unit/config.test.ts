import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig, SETTINGS } from '../../src/config.ts';
import { isAppError } from '../../src/core/errors.ts';

describe('configuration', () => {
  it('has safe defaults', () => {
    const config = readConfig({ XDG_DATA_HOME: '/data' });
    expect(config.limits.autoApproveUsd).toBe(0);
    expect(config.http.host).toBe('127.0.0.1');
    expect(config.workspace).toBe(path.resolve('.'));
  });

  it('lets a flag beat its variable and takes an empty value for unset', () => {
    const config = readConfig({ GPU_LEASE_HOME: '/a', GPU_LEASE_MAX_PODS: '' }, { home: '/b' });
    expect(config.home).toBe('/b');
    expect(config.limits.maxPods).toBeUndefined();
  });

  it.each([
    ['GPU_LEASE_BUDGET_USD', 'ten'],
    ['GPU_LEASE_BUDGET_USD', '-1'],
    ['GPU_LEASE_BUDGET_DAY_USD', 'Infinity'],
    ['GPU_LEASE_MAX_PODS', '1.5'],
    ['GPU_LEASE_LOG_LEVEL', 'loud'],
    ['GPU_LEASE_HTTP_PORT', '70000'],
    ['GPU_LEASE_HTTP_TOKEN', 'short'],
  ])('refuses %s=%s and names it', (variable, value) => {
    try {
      readConfig({ [variable]: value });
      expect.unreachable();
    } catch (error) {
      expect(isAppError(error) && error.message).toContain(variable);
    }
  });

  it('never keeps a secret under a name of its own', () => {
    const config = readConfig({ MY_TOKEN: 'value-of-mine' });
    expect(JSON.stringify(config)).not.toContain('value-of-mine');
    expect(config.environmentValue('MY_TOKEN')).toBe('value-of-mine');
  });

  it('reads the older name of the progress file', () => {
    expect(readConfig({ OPENCOLAB_PROGRESS_FILE: '/tmp/p' }).progressFile).toBe('/tmp/p');
  });

  it('describes every setting once', () => {
    expect(new Set(SETTINGS.map(({ variable }) => variable)).size).toBe(SETTINGS.length);
  });
});
