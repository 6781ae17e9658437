import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { sessionRecordSchema } from '../../../src/core/session.ts';
import { shellQuote } from '../../../src/core/shell-quote.ts';
import { deliverCall } from '../../../src/sessions/pod-script/deliver.ts';
import { WRAPPER } from '../../../src/sessions/pod-script/shell.ts';
import { deliver } from '../../../src/sessions/typing.ts';
import type { WriteDeps } from '../../../src/sessions/write.ts';
import { ManualClock } from '../../support/clock.ts';
import { fc } from '../../support/property.ts';

const record = sessionRecordSchema.parse({
  sessionId: 'ses_abcdefgh',
  podId: 'local:one',
  folder: '/home/one/.gpu-lease/sessions/ses_abcdefgh',
  state: 'idle',
  cwd: '/',
  terminal: 'pty',
  openedAt: '2026-11-01T00:00:00.000Z',
});

/** Whoever carries it out, and in which words it was asked. */
async function sent(
  input: string,
  secret: boolean,
  answer?: string,
): Promise<{ readonly asked: string; readonly script: string; readonly stdin: string }> {
  const seen = { asked: '', script: '', stdin: '' };
  const clock = new ManualClock();
  const deps = {
    clock,
    link: { seenTo: () => 0 },
    writers: {
      ask: async (_pod: string, _id: string, call: string) => {
        seen.asked = call;
        return Promise.resolve(answer === undefined ? undefined : { answer });
      },
    },
    remote: {
      exec: async (_pod: string, script: string, { stdin = '' }: { stdin?: string }) => {
        seen.script = script;
        seen.stdin = stdin;
        return Promise.resolve({
          stdout: Buffer.from('command 0\n'),
          stderr: Buffer.alloc(0),
          exitCode: 0,
        });
      },
    },
  } as unknown as WriteDeps;
  const words = await deliver(
    deps,
    record,
    { input, newline: true, secret, waitSeconds: 0 },
    { key: 'k', writeId: 'cmd_0123456789abcdef', startedAt: clock.now().getTime() },
    { signal: new AbortController().signal },
  );
  expect(words).toEqual(['command', '0']);
  return seen;
}

describe('what is typed as a secret', () => {
  it.each(['export A=open-sesame-4711', `x\n${'open-sesame-4711 '.repeat(2000)}`])(
    'is in no script, since a machine may show scripts as arguments [TR-05] [SC-02]',
    async (input) => {
      const { script, stdin } = await sent(input, true);
      expect(script).not.toContain('open-sesame');
      expect(stdin).toBe(input);
    },
  );

  it('goes at once to a shell that waits for requests on its input', async () => {
    const { asked, script } = await sent('export A=open-sesame-4711', true, 'command 0');
    expect(asked).toContain('open-sesame-4711');
    // It is typed, not shown.
    expect(asked).toContain('[secret input]');
    expect(script).toBe('');
  });

  it('other input travels in the script, which saves a round of copying', async () => {
    const { script, stdin } = await sent('echo hello-4711', false);
    expect(script).toContain('echo hello-4711');
    expect(stdin).toBe('');
  });
});

describe('a request', () => {
  const plain = {
    folder: record.folder,
    writeId: 'cmd_0123456789abcdef',
    command: { nonce: 'a'.repeat(24), shown: '$ true' },
    input: 'true',
    inputBytes: 4,
    seenTo: 4711,
    isText: true,
    newline: true,
    secret: false,
    isInterrupt: false,
    isLongLine: false,
  };

  it('names only what it has, since the shell that waits reads it byte by byte', () => {
    const call = deliverCall(plain);
    expect(call.match(/\w+=/g)).toEqual(
      ['d', 'id', 'nonce', 'shown', 'input', 'at', 'isText', 'newline'].map((name) => `${name}=`),
    );
    expect(call.length).toBeLessThan(plain.folder.length + 160);
  });

  /** What the wrapper hands to the shell, after the words of another request and those of this one. */
  const wrapped = (folder: string, shown: string): string[] => {
    const call = deliverCall({ ...plain, folder, command: { ...plain.command, shown } });
    const script = `nl='
'
deliver() { qw=\${qw:-$d/c/$id}; ${WRAPPER}; }
w=$(LC_ALL=C; ${call}; echo .)
printf '%s\\0' "\${w%.}"
`;
    const [wrapper = ''] = sh(script);
    // In place of reading the command it says which file that would be.
    return sh(GL + wrapper.replace('\n. ', '\nplace '));
  };
  const GL = `say() { printf '%s\\0' "$@"; }
__gl_b() { say "$@"; }
place() { say "$@"; }
__gl_e() { say "ended $1"; }
`;
  const sh = (script: string): string[] =>
    execFileSync('sh', ['-c', script]).toString('utf8').split('\0').slice(0, -1);

  it('makes the same wrapper of any text and in any folder', () => {
    const words = fc.string({
      unit: fc.constantFrom('a', ' ', "'", '"', '\\', '$', '`', '!', ';', '&', '\n', '%', 'ü', '€'),
    });
    fc.assert(
      fc.property(words, words, (name, shown) => {
        const folder = `/home/${name}/ses_abcdefgh`;
        expect(wrapped(folder, shown)).toEqual([
          plain.writeId,
          plain.command.nonce,
          shown,
          `${folder}/c/${plain.writeId}.sh`,
          'ended 0',
        ]);
      }),
      { numRuns: 60 },
    );
  });

  it('types the place of the command as one word', () => {
    const folder = "/home/it's here/ses_abcdefgh";
    expect(deliverCall({ ...plain, folder })).toContain(
      `qw=${shellQuote(shellQuote(`${folder}/c/${plain.writeId}`))}`,
    );
  });
});
