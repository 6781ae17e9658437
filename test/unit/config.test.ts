import { homedir } from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../../src/config.ts';
import { isAppError } from '../../src/core/errors.ts';
import { splitFlags } from '../../src/flags.ts';
import { SETTINGS } from '../../src/settings.ts';

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
    ['GPU_LEASE_BUDGET_USD', ' '],
    ['GPU_LEASE_MAX_USD_PER_HOUR', '$2'],
    ['GPU_LEASE_MAX_PODS', '0x10'],
    ['GPU_LEASE_BUDGET_DAY_USD', 'Infinity'],
    ['GPU_LEASE_MAX_PODS', '1.5'],
    ['GPU_LEASE_LOG_LEVEL', 'loud'],
    ['GPU_LEASE_HTTP_PORT', '70000'],
    ['GPU_LEASE_HTTP_TOKEN', 'short'],
    ['VAST_API_KEY', 'two words'],
    ['VAST_API_KEY', 'a\nb'],
    ['VAST_URL', 'console.vast.ai'],
    ['VAST_URL', 'http://console.vast.ai'],
    ['VAST_URL', 'http://127.0.0.1.evil.example'],
    ['VAST_URL', 'file:///etc/passwd'],
  ])('refuses %s=%s and names it', (variable, value) => {
    try {
      readConfig({ [variable]: value });
      expect.unreachable();
    } catch (error) {
      expect(isAppError(error) && error.message).toContain(variable);
      // In words for people, not those of a program.
      expect(isAppError(error) && error.message).not.toMatch(
        /NaN|Invalid input|Too small|received/,
      );
    }
  });

  it('reads amounts as people write them', () => {
    const { limits, http } = readConfig({
      GPU_LEASE_BUDGET_USD: '12.50',
      GPU_LEASE_BUDGET_DAY_USD: ' .5',
      GPU_LEASE_BUDGET_POD_USD: '3.',
      GPU_LEASE_MAX_PODS: '0',
      GPU_LEASE_HTTP_PORT: '0',
    });
    expect(limits).toMatchObject({
      budgetUsd: 12.5,
      budgetDayUsd: 0.5,
      budgetPodUsd: 3,
      maxPods: 0,
    });
    expect(http.port).toBe(0);
  });

  it('never keeps a secret under a name of its own', () => {
    const config = readConfig({ MY_TOKEN: 'value-of-mine' });
    expect(JSON.stringify(config)).not.toContain('value-of-mine');
    expect(config.environmentValue('MY_TOKEN')).toBe('value-of-mine');
  });

  it('reads the older name of the progress file', () => {
    expect(readConfig({ OPENCOLAB_PROGRESS_FILE: '/tmp/p' }).progressFile).toBe('/tmp/p');
  });

  it('a cloud is on when its key is there, at its address or the one that is given', () => {
    expect(readConfig({ VAST_URL: 'http://127.0.0.1:9/' }).vast).toBeUndefined();
    expect(readConfig({ VAST_API_KEY: '' }).vast).toBeUndefined();
    expect(readConfig({ VAST_API_KEY: 'k' }).vast).toEqual({
      apiKey: 'k',
      baseUrl: 'https://console.vast.ai',
    });
    expect(
      readConfig({ VAST_API_KEY: 'k', VAST_URL: 'http://127.0.0.1:9/api/' }).vast?.baseUrl,
    ).toBe('http://127.0.0.1:9');
    expect(
      readConfig({ VAST_API_KEY: 'k' }, { 'vast-url': 'https://x.example' }).vast?.baseUrl,
    ).toBe('https://x.example');
  });

  it('Lambda is on when its key is there; an address is taken for its origin', () => {
    expect(readConfig({}).lambda).toBeUndefined();
    expect(readConfig({ LAMBDA_API_KEY: 'k' }).lambda).toEqual({
      apiKey: 'k',
      baseUrl: 'https://cloud.lambda.ai',
    });
    const local = { LAMBDA_API_KEY: 'k', LAMBDA_API_URL: 'http://127.0.0.1:9/api/v1' };
    expect(readConfig(local).lambda?.baseUrl).toBe('http://127.0.0.1:9');
    expect(readConfig(local).home).toContain('rehearsal');
    expect(() => readConfig({ LAMBDA_API_URL: 'http://cloud.lambda.ai' })).toThrow(
      'LAMBDA_API_URL',
    );
  });
  it('RunPod is on when its key is there, with its addresses and habits', () => {
    expect(readConfig({}).runpod).toBeUndefined();
    expect(readConfig({ RUNPOD_API_KEY: 'rpa_k' }).runpod).toEqual({
      apiKey: 'rpa_k',
      graphqlUrl: 'https://api.runpod.io/graphql',
      restUrl: 'https://api.runpod.io/v2',
      hasGateway: true,
    });
    const given = readConfig({
      RUNPOD_API_KEY: 'rpa_k',
      RUNPOD_GRAPHQL_URL: 'http://127.0.0.1:9/graphql/',
      RUNPOD_REST_V2_API_URL: 'http://127.0.0.1:9/v2',
      RUNPOD_REST_API_URL: 'http://127.0.0.1:9/v1',
      RUNPOD_TEMPLATE_ID: 'wphkv67a0p',
      RUNPOD_NO_GATEWAY: '1',
      RUNPOD_DIRECT_SSH_USER: 'unsloth',
    });
    expect(given.runpod).toEqual({
      apiKey: 'rpa_k',
      graphqlUrl: 'http://127.0.0.1:9/graphql',
      restUrl: 'http://127.0.0.1:9/v2',
      oldRestUrl: 'http://127.0.0.1:9/v1',
      defaultTemplate: 'wphkv67a0p',
      hasGateway: false,
      sshUser: 'unsloth',
    });
    expect(path.basename(given.home)).toBe('gpu-lease-rehearsal');
  });

  it.each([
    ['RUNPOD_GRAPHQL_URL', 'http://api.runpod.io/graphql'],
    ['RUNPOD_REST_V2_API_URL', 'api.runpod.io/v2'],
    ['RUNPOD_TEMPLATE_ID', 'runpod/pytorch:2.8'],
    ['RUNPOD_NO_GATEWAY', 'perhaps'],
    ['RUNPOD_DIRECT_SSH_USER', 'root; reboot'],
  ])('refuses %s as %j', (variable, value) => {
    expect(() => readConfig({ RUNPOD_API_KEY: 'k', [variable]: value })).toThrow(variable);
  });

  it('describes every setting once', () => {
    expect(new Set(SETTINGS.map(({ variable }) => variable)).size).toBe(SETTINGS.length);
  });
});

describe('paths of the configuration', () => {
  it('expand the home and never depend on the folder we are started in', () => {
    expect(readConfig({ GPU_LEASE_HOME: '~/state' }).home).toBe(path.join(homedir(), 'state'));
    expect(readConfig({ GPU_LEASE_SSH_KEY: '~/.ssh/id' }).sshKey).toBe(
      path.join(homedir(), '.ssh/id'),
    );
    expect(readConfig({ GPU_LEASE_WORKSPACE: '~' }).workspace).toBe(homedir());
    expect(() => readConfig({ GPU_LEASE_HOME: 'state' })).toThrow('GPU_LEASE_HOME');
  });
});

it('keeps what is rented from a made-up cloud apart from real leases', () => {
  const homeOf = (url?: string, home?: string): string =>
    readConfig({ VAST_URL: url, GPU_LEASE_HOME: home }).home;
  expect(path.basename(homeOf())).toBe('gpu-lease');
  expect(path.basename(homeOf('https://console.vast.ai'))).toBe('gpu-lease');
  for (const url of ['http://127.0.0.1:5000', 'http://localhost:80', 'https://[::1]:1/'])
    expect(path.basename(homeOf(url))).toBe('gpu-lease-rehearsal');
  expect(homeOf('http://127.0.0.1:5000', '/my/own')).toBe('/my/own');
});

describe('flags', () => {
  it('may stand before and after the command, with = or a space', () => {
    expect(splitFlags(['--home', '/x', 'pods', '--json', '--max-pods=2'])).toEqual({
      flags: { home: '/x', 'max-pods': '2' },
      words: ['pods', '--json'],
    });
    expect(splitFlags(['destroy', '--', '--home'])).toEqual({
      flags: {},
      words: ['destroy', '--', '--home'],
    });
  });

  it.each([[['--home']], [['--home=']], [['pods', '--port']]])('refuses %j', (argv) => {
    expect(() => splitFlags(argv)).toThrow('needs a value');
  });
});
