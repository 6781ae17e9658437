import { describe, expect, it } from 'vitest';
import { sessionRecordSchema } from '../../../src/core/session.ts';
import { deliver } from '../../../src/sessions/typing.ts';
import type { WriteDeps } from '../../../src/sessions/write.ts';
import { ManualClock } from '../../support/clock.ts';

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
