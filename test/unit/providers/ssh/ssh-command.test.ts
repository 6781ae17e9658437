import { describe, expect, it } from 'vitest';
import { isAppError } from '../../../../src/core/errors.ts';
import { shellQuote } from '../../../../src/core/shell-quote.ts';
import { parseSshCommand } from '../../../../src/providers/ssh/ssh-command.ts';
import { fc } from '../../../support/property.ts';

describe('parseSshCommand', () => {
  it.each([
    ['ssh -p 41022 root@203.0.113.7', { host: '203.0.113.7', user: 'root', port: 41022 }],
    [
      'ssh root@h.example -p22 -i ~/.ssh/id',
      { host: 'h.example', user: 'root', port: 22, keyPath: '~/.ssh/id' },
    ],
    [
      'ssh -tt -q -A -o StrictHostKeyChecking=no -o "UserKnownHostsFile /dev/null" -oPort=9 u@h',
      { host: 'h', user: 'u', port: 9 },
    ],
    [
      'ssh -o Port=9 -p 7 -o user=me -o IdentityFile=~/.ssh/k host',
      { host: 'host', user: 'me', port: 7, keyPath: '~/.ssh/k' },
    ],
    ['/usr/bin/ssh -l me host -p 1', { host: 'host', user: 'me', port: 1 }],
    ['ssh ssh://u@h:2222', { host: 'h', user: 'u', port: 2222 }],
    ['ssh -i "/a b/key" \'u@h\'', { host: 'h', user: 'u', keyPath: '/a b/key' }],
    ['ssh \\\n  u@h', { host: 'h', user: 'u' }],
    [
      'ssh abc-6441@ssh.runpod.io -i ~/.ssh/id_ed25519',
      { host: 'ssh.runpod.io', user: 'abc-6441', keyPath: '~/.ssh/id_ed25519' },
    ],
    ['ssh -qtp 7 u@h', { host: 'h', user: 'u', port: 7 }],
  ])('takes port, key, user and destination: %s [PR-03]', (command, facts) => {
    expect(parseSshCommand(command)).toEqual(facts);
  });

  it('a destination without a user is an alias [PR-04]', () => {
    expect(parseSshCommand('ssh gpu-machine')).toEqual({ alias: 'gpu-machine' });
  });

  it.each([
    ['scp u@h', 'must start with "ssh"'],
    ['', 'must start with "ssh"'],
    ['sshh u@h', 'must start with "ssh"'],
    ['ssh -p 22', 'names no destination'],
    ['ssh "u@h', 'quote is not closed'],
    ['ssh u@h\\', 'backslash'],
    ['ssh -L 8080:localhost:8080 u@h', 'Option -L is not supported'],
    ['ssh u@h -D 1080', 'Option -D is not supported'],
    ['ssh -J jump u@h', 'Option -J is not supported'],
    ['ssh -o ProxyCommand="nc %h %p" u@h', 'Option -o ProxyCommand is not supported'],
    ['ssh -oProxyJump=jump u@h', 'Option -o ProxyJump is not supported'],
    ['ssh -o "HostName other" u@h', 'Option -o HostName is not supported'],
    ['ssh -o proxycommand=x u@h', 'give the machine an alias'],
    ['ssh -o NeverHeardOf=1 u@h', 'Option -o NeverHeardOf is not supported'],
    ['ssh -o Port u@h', 'Option -o needs NAME=VALUE'],
    ['ssh -o Port=x u@h', 'port from 1 to 65535'],
    ['ssh -p', 'Option -p needs a value'],
    ['ssh -p 99999 u@h', 'port from 1 to 65535'],
    ['ssh -p 2x u@h', 'port from 1 to 65535'],
    ['ssh u@h nvidia-smi', 'leave the command out'],
    ['ssh @h', 'destination is incomplete'],
  ])('refuses %s and says why [PR-03, PR-04]', (command, why) => {
    expect(() => parseSshCommand(command)).toThrow(why);
  });

  it('reads back what a shell would, and never throws anything but invalid_input', () => {
    const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
    const key = fc.string({ minLength: 1, maxLength: 30 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(
        name,
        name,
        key,
        fc.integer({ min: 1, max: 65_535 }),
        (user, host, path, port) => {
          const command = `ssh -p ${port} -i ${shellQuote(path)} ${user}@${host}`;
          expect(parseSshCommand(command)).toEqual({ host, user, port, keyPath: path });
        },
      ),
    );
    fc.assert(
      fc.property(fc.string(), (text) => {
        try {
          parseSshCommand(`ssh ${text}`);
        } catch (failure) {
          expect(isAppError(failure) && failure.code).toBe('invalid_input');
        }
      }),
    );
  });
});
