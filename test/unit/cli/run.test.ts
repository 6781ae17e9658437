import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { Command } from '../../../src/cli/command.ts';
import { COMMANDS, SERVERS } from '../../../src/cli/index.ts';
import { runCli } from '../../../src/cli/run.ts';
import { RemoteError } from '../../../src/core/errors.ts';
import { testHost } from './host.ts';

const failing = (thrown: Error): Command => ({
  name: 'fail',
  summary: 'Fails.',
  usage: '',
  positionals: { min: 0, max: 0 },
  options: {},
  run: async () => Promise.reject(thrown),
});

describe('runCli', () => {
  it('shows every command in the help, without starting anything', async () => {
    const host = testHost();
    expect(await runCli(['--help'], host)).toBe(0);
    for (const { name, summary } of [...SERVERS, ...COMMANDS]) {
      expect(host.written()).toContain(`  ${name}`);
      expect(host.written()).toContain(summary);
    }
  });

  it.each([...SERVERS, ...COMMANDS].map(({ name }) => name))(
    '%s --help names its options',
    async (name) => {
      const command = [...SERVERS, ...COMMANDS].find((candidate) => candidate.name === name);
      for (const argv of [
        [name, '--help'],
        [name, '-h'],
        ['help', name],
      ]) {
        const host = testHost();
        expect(await runCli(argv, host)).toBe(0);
        expect(host.written()).toContain(`Usage: gpu-lease ${name}`);
        for (const option of Object.keys(command?.options ?? {}))
          expect(host.written()).toContain(`--${option}`);
      }
    },
  );

  it.each([['--version'], ['-v'], ['version']])('%s', async (word) => {
    const host = testHost();
    expect(await runCli([word], host)).toBe(0);
    expect(host.written()).toBe('1.2.3\n');
    const json = testHost();
    await runCli([word, '--json'], json);
    expect(JSON.parse(json.written())).toEqual({ name: 'gpu-lease', version: '1.2.3' });
  });

  it.each([
    [['frobnicate']],
    [['help', 'frobnicate']],
    [['pods', '--frobnicate']],
    [['pods', 'too', 'many']],
    [['pods', '--provider', 'acme']],
    [['destroy']],
    [['destroy', 'not-an-id']],
    [['destroy', 'local:x', '--discard-unfetched', '--yes']],
    [['doctor', '--fix', 'everything']],
    [['demo', '--era', '1999']],
  ])('%j is a wrong command line: exit code 2, and stdout stays empty', async (argv) => {
    const host = testHost();
    expect(await runCli(argv, host)).toBe(2);
    expect(host.written()).toBe('');
    expect(host.complaints()).not.toBe('');
    const json = testHost();
    expect(await runCli([...argv, '--json'], json)).toBe(2);
    expect(JSON.parse(json.written())).toMatchObject({ error: { code: 'usage' } });
  });

  it('tells a foreseen failure with its hint and quotes foreign text as such', async () => {
    const thrown = new RemoteError('remote_failed', 'The pod said no.', {
      hint: 'Do this.',
      foreignText: 'evil\x1b[2J\nwords',
    });
    const host = testHost();
    expect(await runCli(['fail'], host, [failing(thrown)])).toBe(1);
    expect(host.complaints()).toBe(
      'remote_failed: The pod said no.\n  Do this.\n  it said: evil words\n',
    );
    const json = testHost();
    expect(await runCli(['fail', '--json'], json, [failing(thrown)])).toBe(1);
    expect(JSON.parse(json.written())).toEqual({
      error: {
        code: 'remote_failed',
        message: 'The pod said no.',
        hint: 'Do this.',
        retryable: false,
        foreignText: 'evil words',
      },
    });
  });

  it('tells an unforeseen failure as a defect', async () => {
    const host = testHost();
    expect(await runCli(['fail'], host, [failing(new Error('boom'))])).toBe(1);
    expect(host.complaints()).toContain('internal: Unexpected failure.');
    expect(host.complaints()).toContain('boom');
  });

  it('paints on a terminal only, and never in JSON', async () => {
    const painted: Command = {
      ...failing(new Error('unused')),
      run: async ({ out }) => {
        out.line(out.paint('red', 'hot'));
        out.value({ word: out.paint('red', 'hot') });
        return Promise.resolve(0);
      },
    };
    for (const [colour, argv, expected] of [
      [true, ['fail'], '\x1b[31mhot\x1b[0m\n'],
      [false, ['fail'], 'hot\n'],
      [true, ['fail', '--json'], '{"word":"hot"}\n'],
    ] as const) {
      const host = testHost({ colour });
      await runCli(argv, host, [painted]);
      expect(host.written()).toBe(expected);
    }
  });

  it('a reader that went away does not end a command', async () => {
    const gone = new Writable({
      write: (_chunk, _encoding, done) => {
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }));
      },
    });
    let finished = false;
    const talking: Command = {
      ...failing(new Error('unused')),
      run: async ({ out }) => {
        out.line('one');
        await new Promise((resolve) => setImmediate(resolve));
        out.line('two');
        await new Promise((resolve) => setImmediate(resolve));
        finished = true;
        return 0;
      },
    };
    expect(await runCli(['fail'], testHost({ stdout: gone }), [talking])).toBe(0);
    expect(finished).toBe(true);
  });
});
