import { describe, expect, it } from 'vitest';
import type { InputError } from '../../../src/core/errors.ts';
import { type Lease, leaseSchema } from '../../../src/core/lease.ts';
import type { Secrets } from '../../../src/core/machine.ts';
import { registryLoginOf } from '../../../src/leases/registry.ts';
import { planOf, portsOf, requestOf } from '../../../src/leases/request.ts';
import { isVolumeOf, parseVolume } from '../../../src/leases/volumes.ts';
import { anOffer } from '../../support/fake-provider.ts';
import { someTerms } from '../../support/lease-bench.ts';
import { fc } from '../../support/property.ts';

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (thrown) {
    return (thrown as InputError).code;
  }
  return 'nothing thrown';
}

describe('volume [VO-01] [CR-17]', () => {
  it.each([
    ['V.881:/data', { use: { volumeId: 'V.881', mountPath: '/data' } }],
    [
      'vast:V.881:/root/data/',
      { use: { volumeId: 'V.881', mountPath: '/root/data' }, provider: 'vast' },
    ],
    ['881:/mnt', { use: { volumeId: '881', mountPath: '/mnt' } }],
    ['new:20:/data', { use: { newGb: 20, mountPath: '/data' } }],
    ['new:0020.5:/data:my_vol', { use: { newGb: 20.5, mountPath: '/data', name: 'my_vol' } }],
  ])('reads %s', (text, expected) => {
    expect(parseVolume(text)).toEqual(expected);
  });

  it.each([
    '',
    'V.881',
    'V.881:data',
    'V.881:/',
    'V.881:/a/../etc',
    'V.881:/a b',
    'V.881:/a\nb',
    'V.881:/etc/ssh',
    'V.881:/root',
    'V.881:/root/.ssh',
    'new:/data',
    'new:0:/data',
    'new:999999:/data',
    'new:-1:/data',
    'new:20:/data:my vol',
    'aws:1:/data',
    "V'1:/data",
  ])('refuses %j with a hint', (text) => {
    expect(codeOf(() => parseVolume(text))).toBe('invalid_input');
  });

  it('any text is read or refused, and a mount is always a clean absolute path', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .tuple(fc.constantFrom('new:20:', 'V.1:', 'vast:9:'), fc.string())
            .map((parts) => parts.join('/')),
        ),
        (text) => {
          const code = codeOf(() => {
            const { use } = parseVolume(text);
            expect(use.mountPath).toMatch(/^(?:\/[A-Za-z0-9._-]+)+$/);
            expect(use.mountPath.split('/')).not.toContain('..');
          });
          expect(['invalid_input', 'nothing thrown']).toContain(code);
        },
      ),
    );
  });

  it('belongs to the cloud that its id names', () => {
    expect(isVolumeOf(parseVolume('vast:1:/a'), 'runpod')).toBe(false);
    expect(isVolumeOf(parseVolume('vast:1:/a'), 'vast')).toBe(true);
    expect(isVolumeOf(parseVolume('1:/a'), 'runpod')).toBe(true);
  });
});

describe('ports [CR-13]', () => {
  it('takes each once and says what they speak', () => {
    expect(portsOf(['8888/http', '8000', '8000/tcp', '53/udp'])).toEqual([
      '8888/http',
      '8000/tcp',
      '53/udp',
    ]);
  });
  it.each(['0', '65536', '80/ftp', '', 'a', '80:80', ' 80', '80/tcp -v /:/host', '1e3'])(
    'refuses %j',
    (port) => {
      expect(codeOf(() => portsOf([port]))).toBe('invalid_input');
    },
  );
});

describe('registry login [CR-16]', () => {
  const of = (value: string | undefined, masked: string[] = []): Secrets => ({
    value: (name) => (name === 'REGISTRY' ? value : undefined),
    mask: (part) => masked.push(part),
  });

  it.each([
    ['me:pass@registry.example.com', 'me', 'pass', 'registry.example.com'],
    ['me:p:a@ss@localhost:5000', 'me', 'p:a@ss', 'localhost:5000'],
    ['{"host":"ghcr.io","username":"me","password":"t@k:n"}', 'me', 't@k:n', 'ghcr.io'],
  ])('reads %s and masks the password alone', (value, username, password, host) => {
    const masked: string[] = [];
    expect(registryLoginOf('REGISTRY', of(value, masked))).toEqual({ host, username, password });
    expect(masked).toEqual([password]);
  });

  it.each([
    [undefined],
    [''],
    ['no-password@host'],
    ['me:pass'],
    [':pass@host'],
    ['me:@host'],
    ['me:pa ss@host'],
    ['me:pass@-bad-'],
    ['{"host":"ghcr.io"'],
    ['{"host":1}'],
  ])('refuses %j without a word of it', (value) => {
    try {
      registryLoginOf('REGISTRY', of(value));
      expect.unreachable();
    } catch (thrown) {
      const { code, message, hint } = thrown as InputError;
      expect(code).toBe('config_missing');
      expect(`${message} ${hint}`).toContain('REGISTRY');
      if (value !== undefined && value.length > 5)
        expect(`${message} ${hint}`).not.toContain(value);
    }
  });

  it('refuses the login itself in place of a name', () => {
    expect(codeOf(() => registryLoginOf('me:pass@ghcr.io', of('x')))).toBe('invalid_input');
  });
});

describe('what a cloud is asked for', () => {
  const lease = (changes: Parameters<typeof someTerms>[0]): Lease =>
    leaseSchema.parse({
      leaseId: 'lea_a',
      label: 'gl-a',
      provider: 'vast',
      offer: anOffer(),
      terms: someTerms(changes),
      approvedBy: 'form',
      state: 'intended',
      name: 'pod',
      usdPerHour: 0.5,
      createdAt: '2026-01-01T00:00:00.000Z',
      deadlineAt: '2026-01-01T06:00:00.000Z',
      stages: [],
      stage: 'requested',
      attempts: [],
    });

  it('leaves empty texts out [CR-10] [CR-11]', () => {
    const empty = lease({
      image: '',
      template: ' ',
      setup: '',
      volume: '',
      env: { A: '', B: 'b' },
    });
    const request = requestOf(empty, { sshPublicKey: 'ssh-ed25519 AAAA', secretEnv: { S: 's' } });
    expect(request).toMatchObject({
      image: undefined,
      template: undefined,
      setup: undefined,
      volume: undefined,
      env: { B: 'b', S: 's' },
    });
    expect(Object.values(request)).not.toContain('');
  });

  it('sends the image of the workload, unless an image or a template is given [CR-07]', () => {
    expect(planOf(someTerms({ workload: 'pytorch', workloadImage: 'p:1' })).image).toBe('p:1');
    expect(planOf(someTerms({ image: 'mine:1', workloadImage: 'p:1' })).image).toBe('mine:1');
    expect(planOf(someTerms({ template: 'abc', workloadImage: 'p:1' }))).toMatchObject({
      image: undefined,
      template: 'abc',
    });
  });

  it('carries label, deadline, price, login and volume', () => {
    const registryLogin = { host: 'ghcr.io', username: 'me', password: 'secret-word' };
    const request = requestOf(lease({ volume: 'new:20:/data', ports: ['80'] }), {
      sshPublicKey: 'k',
      secretEnv: {},
      registryLogin,
    });
    expect(request).toMatchObject({
      offerId: 'vast:a',
      label: 'gl-a',
      maxUsdPerHour: 0.5,
      deadlineAt: '2026-01-01T06:00:00.000Z',
      onExpiry: 'destroy',
      ports: ['80/tcp'],
      volume: { newGb: 20, mountPath: '/data' },
      registryLogin,
    });
  });
});
