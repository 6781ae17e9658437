import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../src/core/call.ts';
import { ConfigError, ProviderError } from '../../../src/core/errors.ts';
import type { ProviderName } from '../../../src/core/ids.ts';
import type { AccountCheck, Provider } from '../../../src/core/provider.ts';
import { createDoctor, type DoctorDeps } from '../../../src/health/doctor.ts';

const options = { signal: new AbortController().signal };
const BLOB = 'AAAAC3NzaC1lZDI1NTE5AAAAIJ6q3bqk2bYy0B2l5o9l9YlOQmA8w8h0bXv1c3m3xk1a';

let folder: string;
let keyPath: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'gpu-lease-doctor-'));
  keyPath = join(folder, 'id');
});
afterEach(async () => rm(folder, { recursive: true, force: true }));

const provider = (
  name: ProviderName,
  checkAccount: () => Promise<AccountCheck>,
  registered?: string[],
): [ProviderName, Provider] => {
  const registerKey = async (key: string): Promise<void> => {
    registered?.push(key);
    return Promise.resolve();
  };
  const part: Pick<Provider, 'name' | 'checkAccount' | 'keys'> = {
    name,
    checkAccount,
    ...(registered === undefined ? {} : { keys: { registerKey } }),
  };
  return [name, part as Provider];
};
const doctorOf = (...providers: [ProviderName, Provider][]) => doctorWith({}, ...providers);
const doctorWith = (settings: Partial<DoctorDeps>, ...providers: [ProviderName, Provider][]) =>
  createDoctor({
    providers: new Map(providers),
    knownProviders: [
      { name: 'local' },
      { name: 'vast', keyVariable: 'VAST_API_KEY' },
      { name: 'runpod', keyVariable: 'RUNPOD_API_KEY' },
      { name: 'lambda', keyVariable: 'LAMBDA_API_KEY' },
    ],
    identity: {
      keyPath,
      publicKey: async () => {
        const { privateKey } = generateKeyPairSync('ed25519');
        await writeFile(keyPath, privateKey.export({ type: 'pkcs8', format: 'pem' }), {
          mode: 0o600,
        });
        await writeFile(`${keyPath}.pub`, `ssh-ed25519 ${BLOB} gpu-lease\n`);
        return `ssh-ed25519 ${BLOB}`;
      },
    },
    clock: systemClock,
    home: folder,
    workspace: folder,
    ...settings,
  });

describe('doctor', () => {
  it('shows every provider, and lets the failure of one hide no other', async () => {
    const doctor = doctorOf(
      provider('local', async () => Promise.resolve({ reachable: true })),
      provider('vast', async () =>
        Promise.reject(new ConfigError('auth_rejected', 'The key was refused.')),
      ),
      provider('runpod', async () => Promise.reject(new TypeError('sk_secret_inside'))),
    );
    const seen = await doctor.check({}, options);
    expect(seen.providers.map((each) => [each.provider, each.configured, each.reachable])).toEqual([
      ['local', true, true],
      ['vast', true, false],
      ['runpod', true, false],
      ['lambda', false, undefined],
    ]);
    expect(seen.providers[1]?.problem).toContain('The key was refused.');
    expect(JSON.stringify(seen)).not.toContain('sk_secret_inside');
    expect(seen.missing.join('\n')).toContain('set LAMBDA_API_KEY');
    expect(seen.missing.join('\n')).toContain('generate_ssh_key');
    expect(seen.tools).toMatchObject({ tar: true });
    expect(seen.sshKey).toEqual({ path: keyPath, exists: false });
  });

  it('names exactly the clouds of this version, each with the variable that turns it on', async () => {
    const seen = await doctorWith({ knownProviders: undefined }).check({}, options);
    expect(seen.providers).toEqual([
      { provider: 'local', configured: false, keySource: undefined },
      { provider: 'vast', configured: false, keySource: 'VAST_API_KEY' },
      { provider: 'runpod', configured: false, keySource: 'RUNPOD_API_KEY' },
      { provider: 'lambda', configured: false, keySource: 'LAMBDA_API_KEY' },
    ]);
    const missing = seen.missing.join('\n');
    expect(missing).toContain('vast is off: set VAST_API_KEY');
    expect(missing).toContain('runpod is off: set RUNPOD_API_KEY');
    expect(missing).toContain('lambda is off: set LAMBDA_API_KEY');
  });

  it('says how long the balance lasts at what the whole account burns [KE-02]', async () => {
    const pods = [0.4, 0.1].map((usdPerHour) => ({ status: 'running', usdPerHour }));
    const listPods = async () =>
      Promise.resolve([...pods, { status: 'stopped', usdPerHour: 9 }] as never);
    const check = async (balanceUsd: number) => {
      const [name, part] = provider('vast', async () =>
        Promise.resolve({ keySource: 'VAST_API_KEY', reachable: true, balanceUsd }),
      );
      return doctorOf([name, { ...part, listPods }]).check({ provider: 'vast' }, options);
    };
    const low = await check(2);
    expect(low.providers[0]).toMatchObject({ balanceUsd: 2, usdPerHour: 0.5, hoursLeft: 4 });
    expect(low.missing.join()).toContain('lasts 4.0 h');
    expect((await check(100)).missing.join()).not.toContain('lasts');
    expect((await check(0)).missing.join()).toContain('no credit');
  });

  it('shows a balance even when the list of pods cannot be had', async () => {
    const [name, part] = provider('vast', async () =>
      Promise.resolve({ reachable: true, balanceUsd: 5 }),
    );
    const listPods = async () => Promise.reject(new ProviderError('rate_limited', 'Later.'));
    const seen = await doctorOf([name, { ...part, listPods }]).check({ provider: 'vast' }, options);
    expect(seen.providers[0]).toEqual({
      provider: 'vast',
      configured: true,
      reachable: true,
      balanceUsd: 5,
    });
  });

  it('hands on what a cloud that answers complains of', async () => {
    const seen = await doctorOf(
      provider('vast', async () =>
        Promise.resolve({ reachable: true, problem: 'The key lacks a permission.' }),
      ),
    ).check({ provider: 'vast' }, options);
    expect(seen.missing).toContain('vast: The key lacks a permission.');
  });

  it('makes a key when asked, once, and shows its fingerprint', async () => {
    const doctor = doctorOf();
    const made = await doctor.check({ fix: 'generate_ssh_key' }, options);
    expect(made.fixed).toHaveLength(1);
    expect(made.sshKey.fingerprint).toMatch(/^SHA256:[A-Za-z0-9+/]{43}$/);
    const before = await readFile(keyPath, 'utf8');
    expect((await doctor.check({ fix: 'generate_ssh_key' }, options)).fixed).toEqual([]);
    expect(await readFile(keyPath, 'utf8')).toBe(before);
  });

  it('registers the key where keys are kept, and says so where they are not', async () => {
    const registered: string[] = [];
    const check = async () => Promise.resolve({ reachable: true, sshKeyRegistered: false });
    const doctor = doctorOf(
      provider('vast', check, registered),
      provider('local', async () => Promise.resolve({ reachable: true })),
    );
    expect((await doctor.check({}, options)).missing.join()).toContain('register_ssh_key');
    const seen = await doctor.check({ fix: 'register_ssh_key', provider: 'vast' }, options);
    expect(registered).toEqual([`ssh-ed25519 ${BLOB}`]);
    expect(seen.fixed).toEqual(['Registered our SSH key with vast.']);
    expect(seen.providers.map((each) => each.provider)).toEqual(['vast']);
    await expect(
      doctor.check({ fix: 'register_ssh_key', provider: 'local' }, options),
    ).rejects.toMatchObject({ code: 'unsupported' });
  });

  it('names each setting that cannot work, and makes nothing to find out', async () => {
    const well = await doctorOf().check({}, options);
    expect(well.problems).toEqual([]);
    expect(await readdir(folder)).toEqual([]);
    await writeFile(join(folder, 'file'), '');
    const home = join(folder, 'file', 'below');
    const seen = await doctorWith({ home, workspace: join(folder, 'nothing') }).check({}, options);
    expect(seen.problems).toEqual([
      expect.stringContaining('GPU_LEASE_SSH_KEY'),
      expect.stringContaining('GPU_LEASE_HOME'),
      expect.stringContaining('GPU_LEASE_WORKSPACE'),
    ]);
    expect(seen.missing).toEqual(expect.arrayContaining([...(seen.problems ?? [])]));
    expect(seen.missing.join()).not.toContain('generate_ssh_key');
    const later = await doctorWith({ home: join(folder, 'made', 'later') }).check({}, options);
    expect(later.problems).toHaveLength(1);
    expect(later.sshKey.problem).toContain('GPU_LEASE_SSH_KEY');
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('stops when told', async () => {
    const doctor = doctorOf(provider('local', async () => Promise.reject(new Error('aborted'))));
    await expect(doctor.check({}, { signal: AbortSignal.abort() })).rejects.toThrow();
  });
});

it('a cloud whose address is on this machine is told to be made up', async () => {
  const answers = async () => Promise.resolve({ reachable: true });
  const madeUp = ([name, cloud]: [ProviderName, Provider]): [ProviderName, Provider] => [
    name,
    { ...cloud, isMadeUp: true },
  ];
  const doctor = doctorOf(
    provider('vast', answers),
    madeUp(provider('runpod', answers)),
    madeUp(provider('lambda', async () => Promise.reject(new Error('down')))),
  );
  const found = await doctor.check({}, options);
  expect(found.providers.map((one) => [one.provider, one.isMadeUp])).toEqual([
    ['local', undefined],
    ['vast', undefined],
    ['runpod', true],
    ['lambda', true],
  ]);
  const [lambda] = (await doctor.check({ provider: 'lambda' }, options)).providers;
  expect(lambda).toMatchObject({ provider: 'lambda', isMadeUp: true, reachable: false });
});
