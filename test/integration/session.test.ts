import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SessionId } from '../../src/core/ids.ts';
import type { SessionPage, SessionRead, SessionWritten } from '../../src/core/session.ts';
import { MACHINES, type TestMachine } from '../support/machines.ts';

const signal = new AbortController().signal;
const options = { signal };

describe.each(MACHINES)('sessions on $name', ({ open }) => {
  let machine: TestMachine;
  let id: SessionId;
  type Shells = TestMachine['ssh']['sessions'];
  const shells = (): Shells => machine.ssh.sessions;

  const write = async (
    input: string,
    {
      on = id,
      from = shells(),
      ...more
    }: {
      on?: SessionId;
      from?: Shells;
      waitSeconds?: number;
      newline?: boolean;
      secret?: boolean;
    } = {},
  ): Promise<SessionWritten> =>
    from.write(on, { input, newline: true, secret: false, waitSeconds: 20, ...more }, options);
  const key = async (name: 'ctrl-c' | 'ctrl-d' | 'enter', on = id): Promise<SessionWritten> =>
    shells().write(on, { key: name, newline: false, secret: false, waitSeconds: 20 }, options);
  const read = async (
    more: Partial<SessionRead> = {},
    on = id,
    from = shells(),
  ): Promise<SessionPage> =>
    from.read(on, { maxBytes: 40_000, waitSeconds: 0, format: 'clean', ...more }, options);
  const fresh = async (): Promise<SessionId> =>
    (await shells().open(machine.podId, { reuse: false }, options)).sessionId;
  const onPod = async (script: string): Promise<string> =>
    (
      await machine.ssh.remote.exec(machine.podId, script, { signal, timeoutSeconds: 20 })
    ).stdout.toString();

  beforeAll(async () => {
    machine = await open();
    id = await fresh();
  });
  afterAll(async () => {
    await machine[Symbol.asyncDispose]();
  });

  it('keeps folder, environment, functions and the last status between calls [SE-01]', async () => {
    expect(
      await write('mkdir -p "a b" && cd "a b"; export A=1; f() { echo "f $1"; }'),
    ).toMatchObject({
      done: true,
      exitCode: 0,
      state: 'idle',
      output: '',
    });
    expect((await write('echo "$A $(basename "$PWD")"; f x; (exit 7)')).output).toBe(
      '1 a b\nf x\n',
    );
    expect(await write('echo $?; cd')).toMatchObject({ output: '7\n', exitCode: 0 });
  });

  it('says the exit code of each command, however it ends [SE-13]', async () => {
    expect(await write('false')).toMatchObject({ done: true, exitCode: 1 });
    expect(await write('if then')).toMatchObject({ done: true, exitCode: 2 });
    expect(await write('return 9')).toMatchObject({ done: true, exitCode: 9 });
    expect(await write('sh -c "exit 42"')).toMatchObject({ done: true, exitCode: 42 });
    expect(await write('no_such_command_here')).toMatchObject({ done: true, exitCode: 127 });
  });

  it('takes any text as it stands: lines, quotes, dollars, a here-document', async () => {
    const text = `printf '%s\\n' "it's" '$HOME' \\\n  '"q"' 'ü€😀' '!x' 'back\\slash'\ncat <<'E'\n$not \`run\`\nE`;
    expect((await write(text)).output).toBe(
      `it's\n$HOME\n"q"\nü€😀\n!x\nback\\slash\n$not \`run\`\n`,
    );
  });

  it('takes a command of 200 KB, and none of more than 256 KiB', async () => {
    const long = await write(`x='${'y'.repeat(200_000)}'; echo \${#x}`);
    expect(long).toMatchObject({ output: '200000\n', exitCode: 0 });
    await expect(write('z'.repeat(300_000))).rejects.toMatchObject({ code: 'too_large' });
  });

  it('refuses what cannot be typed', async () => {
    await expect(write('a\0b')).rejects.toMatchObject({ code: 'invalid_input' });
    await expect(write('', { newline: false })).rejects.toMatchObject({ code: 'invalid_input' });
    const both = {
      input: 'x',
      key: 'enter',
      newline: true,
      secret: false,
      waitSeconds: 0,
    } as const;
    await expect(shells().write(id, both, options)).rejects.toMatchObject({
      code: 'invalid_input',
    });
  });

  it('a slow command goes on, is typed to, and ends with its own id [SE-27]', async () => {
    const asked = await write('read -r x; echo "got:$x"', { waitSeconds: 0.3 });
    expect(asked).toMatchObject({ done: false, state: 'busy' });
    const told = await write('to be read $x');
    expect(told).toMatchObject({ done: true, exitCode: 0, commandId: asked.commandId });
    expect(told.output).toBe('got:to be read $x\n');
  });

  it('text for a busy shell is refused while nothing reads it, so it never runs later as a command', async () => {
    const on = await fresh();
    for (const input of ['while :; do :; done', 'sleep 100', 'sh -c "sleep 100; :" | cat']) {
      await write(input, { on, waitSeconds: 0 });
      await expect(write('echo wrong > ~/typed-ahead', { on })).rejects.toMatchObject({
        code: 'session_busy',
        retryable: true,
        hint: expect.stringContaining('Nothing was typed') as string,
      });
      expect(await key('ctrl-c', on)).toMatchObject({ done: true });
      expect(await write('echo clean', { on })).toMatchObject({
        output: 'clean\n',
        typedTo: 'shell',
      });
    }
    expect(await onPod('ls "$HOME/typed-ahead" 2>/dev/null; true')).toBe('');
  });

  it('text goes to a program that waits for it, and the answer says whose end it tells', async () => {
    const on = await fresh();
    for (const [input, text, shown] of [
      ['read -r x; echo "a:$x"; (exit 3)', 'one', 'a:one\n'],
      ['sh -c \'read x; echo "b:$x"; exit 3\'', 'two', 'b:two\n'],
      ['head -n 1; (exit 3)', 'three', 'three\n'],
      [`python3 -c 'import sys; x = input(); print("c:" + x); sys.exit(3)'`, 'four', 'c:four\n'],
    ] as const) {
      const asked = await write(input, { on, waitSeconds: 0.2 });
      expect(asked.typedTo).toBe('shell');
      const told = await write(text, { on });
      expect(told).toMatchObject({
        typedTo: 'program',
        done: true,
        exitCode: 3,
        commandId: asked.commandId,
      });
      expect(told.output.endsWith(shown)).toBe(true);
    }
  });

  it('what a program left unread is dropped and said, and never run as a command', async () => {
    const on = await fresh();
    await write('read -r x; echo "got:$x"; (exit 4)', { on, waitSeconds: 0 });
    const told = await write('first\ntouch ~/left-over', { on });
    expect(told).toMatchObject({ typedTo: 'program', done: true, exitCode: 4 });
    expect(told.output).toContain('got:first');
    expect(told.output).toContain('18 bytes that were typed; they were dropped');
    expect(await write('ls ~/left-over', { on })).toMatchObject({ exitCode: 2, typedTo: 'shell' });
  });

  it('any character passes through the long-lived writer as it is', async () => {
    const on = await fresh();
    await write('true', { on });
    for (let from = 0x80; from < 0x800; from += 0x180) {
      const text = String.fromCodePoint(...Array.from({ length: 0x180 }, (_, i) => from + i));
      const { output } = await write(`printf %s '${text}' | od -An -v -tx1 | tr -d ' \\n'`, { on });
      expect(output).toBe(Buffer.from(text).toString('hex'));
    }
    expect(
      (await write(`printf '%s|' "'" '"' '\\' '!' '$x' '  a  b ' '\t'\necho`, { on })).output,
    ).toBe(`'|"|\\|!|$x|  a  b |\t|\n`);
  });

  it('a program that reads all of its input eats no mark of ours', async () => {
    const asked = await write('cat; echo done', { waitSeconds: 0.2 });
    expect((await write('line one', { waitSeconds: 5 })).output).toBe('line one\n');
    const ended = await key('ctrl-d');
    expect(ended).toMatchObject({ done: true, exitCode: 0, commandId: asked.commandId });
    expect(ended.output).toBe('done\n');
  });

  it('a command line that comes late is no output of what is typed after it', async () => {
    const on = await fresh();
    await write('true', { on });
    const asked = await write('read -r x; echo "got $x"', { on, waitSeconds: 0 });
    const told = await write('this', { on });
    expect(told).toMatchObject({ typedTo: 'program', commandId: asked.commandId });
    // On a busy machine the answer of the program may come later still.
    expect(['', 'got this\n']).toContain(told.output);
  });

  it('a line that the terminal would cut is refused, and not half typed', async () => {
    const asked = await write('read -r x; echo "${#x}"', { waitSeconds: 0.2 });
    await expect(write('y'.repeat(5000))).rejects.toMatchObject({ code: 'too_large' });
    const told = await write('z'.repeat(3900));
    expect(told).toMatchObject({ output: '3900\n', commandId: asked.commandId });
  });

  it('a reader that starts over does not disturb one that waits', async () => {
    const on = await fresh();
    await write('head -c 2500000 /dev/zero | tr "\\0" x', { on });
    const waiting = write('sleep 1; echo end; (exit 4)', { on });
    const over = await read({ offset: 0, waitSeconds: 0.4, until: 'never there' }, on);
    expect(over.matched).toBe(false);
    expect(await waiting).toMatchObject({ done: true, exitCode: 4, output: 'end\n' });
  });

  it('ctrl-c ends the command and not the shell [SE-25]', async () => {
    const asked = await write('sleep 100; echo not reached', { waitSeconds: 0.2 });
    const ended = await key('ctrl-c');
    expect(ended).toMatchObject({ done: true, exitCode: 130, commandId: asked.commandId });
    expect(await write('echo alive')).toMatchObject({ output: 'alive\n', exitCode: 0 });
  });

  it('ctrl-c straight after a command never loses the shell', async () => {
    for (let round = 0; round < 3; round += 1) {
      await write('sleep 100', { waitSeconds: 0 });
      expect(await key('ctrl-c')).toMatchObject({ done: true, exitCode: 130 });
    }
    expect(await write('echo alive')).toMatchObject({ output: 'alive\n' });
  });

  it('ctrl-c ends a command that the shell has not begun: it never runs, and the shell goes on', async () => {
    const on = await fresh();
    await write('cd', { on });
    const pid = (await write('echo $$', { on })).output.trim();
    await onPod(`kill -STOP ${pid}`);
    await write('touch ran-all-the-same', { on, waitSeconds: 0 });
    const pressed = key('ctrl-c', on);
    // Until it has been typed, like the three before it.
    await onPod(
      `while [ $(ls ~/.gpu-lease/sessions/${on}/c/*.at | wc -l) -lt 4 ]; do sleep 0.1; done`,
    );
    // `script` stops with its child.
    await onPod(`kill -CONT $(ps -o ppid= -p ${pid}) ${pid}`);
    expect(await pressed).toMatchObject({ done: true, exitCode: 130, state: 'idle' });
    expect((await write('ls ran-all-the-same; echo alive', { on })).output).toMatch(
      /ory\nalive\n$/,
    );
  });

  it('output that looks like a mark is output [SE-26]', async () => {
    const nonce = '0'.repeat(24);
    const forged = await write(
      `printf '\\033]7770;E;%s;${nonce};0\\007' "$__gl_c"; printf '\\033]7770;X;exit;${nonce};0\\007'; sleep 0.3; echo later; (exit 5)`,
    );
    expect(forged).toMatchObject({ done: true, exitCode: 5, state: 'idle' });
    expect(forged.output).toContain('later');
  });

  it('a prompt of any kind, or a start-up file read again, changes nothing [SE-26]', async () => {
    await write(`PROMPT_COMMAND='echo noise'; PS1='$ done 0 > '`);
    expect(await write('echo one; (exit 3)')).toMatchObject({ done: true, exitCode: 3 });
    expect(await write('echo two')).toMatchObject({ done: true, exitCode: 0 });
  });

  it('makes files as readable as a shell of the person does', async () => {
    expect((await write('umask')).output).toBe(await onPod('umask'));
    expect((await write('umask 027; umask', { on: await fresh() })).output).toMatch(/^0?027\n$/);
  });

  it('a half line waits for the rest, and the next command starts on a clean one', async () => {
    await write('echo ha', { newline: false, waitSeconds: 0 });
    expect(await write('echo whole')).toMatchObject({ output: 'whole\n', exitCode: 0 });
  });

  it('a command that is thrown away with the half line before it runs all the same, once', async () => {
    const on = await fresh();
    // It takes what is typed while it runs.
    await write(`cd; trap 'sleep 0.5; read -r -t 0.1 taken' INT`, { on });
    await write('echo ha', { on, newline: false, waitSeconds: 0 });
    expect(await write('echo whole >>slow; echo whole', { on })).toMatchObject({
      output: 'whole\n',
      exitCode: 0,
    });
    expect((await write('echo "$taken"', { on })).output).toContain('. ');
    expect(await onPod('cat slow')).toBe('whole\n');
  });

  it('pages by bytes, never splits a character, and repeats nothing [SE-10] [SE-11]', async () => {
    const on = await fresh();
    await write(`i=0; while [ $i -lt 300 ]; do echo "$i äöü€😀"; i=$((i+1)); done`, { on });
    const whole = await read({ offset: 0, maxBytes: 40_000 }, on);
    for (const maxBytes of [1, 7, 97, 1000]) {
      let offset = maxBytes < 50 ? whole.nextOffset - 150 : 0;
      while (
        offset > 0 &&
        (await read({ offset, format: 'raw', maxBytes: 4 }, on)).output.startsWith('\uFFFD')
      )
        offset += 1;
      const start = offset;
      let raw = '';
      for (;;) {
        const page = await read({ offset, maxBytes, format: 'raw' }, on);
        expect(page.offset).toBe(offset);
        raw += page.output;
        offset = page.nextOffset;
        if (!page.hasMore) break;
      }
      expect(raw).toBe((await read({ offset: start, format: 'raw' }, on)).output);
      expect(raw).not.toContain('\uFFFD');
    }
  });

  it('an offset beyond the end is moved to the end [SE-08]', async () => {
    const page = await read({ offset: 10_000_000 });
    expect(page).toMatchObject({ output: '', hasMore: false, nextOffset: page.offset });
    expect(page.offset).toBeLessThan(10_000_000);
  });

  it('a read without offset goes on where this reader stopped, whoever wrote [SE-09]', async () => {
    const on = await fresh();
    await write('echo first', { on });
    expect((await read({}, on)).output).toContain('first');
    await write('echo second', { on });
    const next = await read({}, on);
    expect(next.output).toContain('second');
    expect(next.output).not.toContain('first');
    expect(next.commands).toEqual([expect.objectContaining({ done: true, exitCode: 0 })]);
  });

  it('waits for text, for any output, or for the time given [SE-12]', async () => {
    const on = await fresh();
    const { nextOffset } = await write(
      'for i in 1 2 3; do sleep 0.2; echo "step $i"; done; : step 3; sleep 100',
      {
        on,
        waitSeconds: 0,
      },
    );
    const seen = await read({ offset: nextOffset, waitSeconds: 20, until: 'step 3' }, on);
    expect(seen).toMatchObject({ matched: true, state: 'busy' });
    expect(seen.output).toContain('step 3');
    const started = performance.now();
    const none = await read({ waitSeconds: 0.5, offset: seen.nextOffset }, on);
    expect(none.output).toBe('');
    expect(performance.now() - started).toBeGreaterThan(400);
    await shells().close(on, { force: true }, options);
  });

  it('invalid UTF-8 and escape codes are harmless, and raw keeps them [SE-14]', async () => {
    const { output, offset } = await write(
      `printf 'a\\377b \\033[31mred\\033[0m\\n10%%\\r55%%\\r100%%\\n'`,
    );
    expect(output).toBe('a\uFFFDb red\n100%\n');
    expect((await read({ offset, format: 'raw' })).output).toContain('\u001b[31mred');
  });

  it('programs find a quiet terminal of 40 x 200 [SE-15]', async () => {
    expect(
      (await write('stty size; echo $TERM $PAGER $GIT_PAGER; [ -t 0 ] && [ -t 1 ] && echo tty'))
        .output,
    ).toBe('40 200\ndumb cat cat\ntty\n');
  });

  it('a secret is never shown, kept or written down [TR-05]', async () => {
    const on = await fresh();
    const secret = 'Sup3r-Secret-Value';
    await write('read -r token; echo "length ${#token}"', { on, waitSeconds: 0.2 });
    expect((await write(secret, { on, secret: true })).output).toBe(`length ${secret.length}\n`);
    await write(`export T=${secret}-2`, { on, secret: true });
    expect((await write('echo "$T" | tr a-z A-Z', { on })).output).toBe('SUP3R-SECRET-VALUE-2\n');
    expect((await write('echo "$token"', { on })).output).toBe('[redacted]\n');
    // What a typed command gives to a variable comes back without the rest of the command.
    await write(`export T='other-Secret 7'`, { on, secret: true });
    expect((await write('echo "<$T>"', { on })).output).toBe('<[redacted]>\n');
    const folder = (await machine.store.sessions.get(on))?.folder ?? '';
    const { stdout } = await machine.ssh.remote.exec(
      machine.podId,
      `grep -rl 'Sup3r' ${folder}; true`,
      { signal, timeoutSeconds: 10 },
    );
    expect(stdout.toString().trim()).toBe(`${folder}/out`);
    expect(await onPod(`grep -c 'Sup3r' ${folder}/out`)).toBe('1\n');
    expect(JSON.stringify(await machine.store.sessions.list())).not.toContain('Sup3r');
  });

  it('survives a cut link in the middle of a command [SE-22]', async () => {
    const on = await fresh();
    const running = write('for i in 1 2 3 4; do echo "part $i"; sleep 0.4; done; (exit 6)', { on });
    await delay(500);
    await machine.cut();
    expect(await running).toMatchObject({
      done: true,
      exitCode: 6,
      output: 'part 1\npart 2\npart 3\npart 4\n',
    });
  });

  it('an early page calls no command running that has ended beyond it', async () => {
    const on = await fresh();
    const first = await write('seq 1 400', { on });
    const second = await write('sleep 300', { on, waitSeconds: 0.3 });
    const page = await read({ offset: 0, maxBytes: 300 }, on);
    expect(page).toMatchObject({ state: 'busy', hasMore: true });
    expect(page.commands).toEqual([{ commandId: first.commandId, done: true }]);
    const rest = await read({ offset: page.nextOffset }, on);
    expect(rest.commands).toContainEqual({ commandId: second.commandId, done: false });
    await key('ctrl-c', on);
    const idle = await read({ offset: 0, maxBytes: 300 }, on);
    expect(idle).toMatchObject({ state: 'idle', commands: [{ done: true }] });
  });

  it('a link that is cut again and again types each command once or not at all', async () => {
    const on = await fresh();
    await write('rm -f ~/typed', { on });
    const stop = new AbortController();
    const cutting = (async () => {
      for (let round = 0; round < 12 && !stop.signal.aborted; round += 1) {
        await delay(60 + round * 11);
        await machine.cut();
      }
    })();
    const done: string[] = [];
    for (let i = 0; i < 25; i += 1)
      await write(`echo n${i} >> ~/typed`, { on }).then(
        ({ done: ended }) => {
          if (ended) done.push(`n${i}`);
        },
        (failure: unknown) => {
          expect(failure).toMatchObject({
            code: expect.stringMatching(/^(?:link_lost|ssh_unreachable)$/) as string,
          });
        },
      );
    stop.abort();
    await cutting;
    await expect
      .poll(async () => (await read({ offset: 0, maxBytes: 1 }, on)).state, { timeout: 10_000 })
      .toBe('idle');
    const lines = (await onPod('cat ~/typed')).trim().split('\n');
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines).toEqual(expect.arrayContaining(done));
    expect(done.length).toBeGreaterThan(10);
  });

  it('another server finds the shell, its state and every byte once [SE-24]', async () => {
    const on = await fresh();
    await write('cd /; V=kept; echo before', { on });
    const begun = await write('sleep 0.5; echo dur""ing', { on, waitSeconds: 0 });
    const second = machine.another().sessions;
    const later = await read({ waitSeconds: 20, until: 'during', offset: 0 }, on, second);
    expect(later.output.match(/before|during/g)).toEqual(['before', 'before', 'during']);
    await read({ offset: later.nextOffset, waitSeconds: 5 }, on, second);
    expect((await write('echo "$V $PWD"', { on, from: second })).output).toBe('kept /\n');
    const all = await read({ offset: 0 }, on, second);
    expect(all.commands.find(({ commandId }) => commandId === begun.commandId)).toMatchObject({
      done: true,
      exitCode: 0,
    });
  });

  it('text that meets a program in the moment it ends is read by it, dropped with a word, or a command: never run unasked', async () => {
    const on = await fresh();
    const rounds = 60;
    for (let i = 0; i < rounds; i += 1) {
      // A reader that ends by itself, a thousandth later each time, while text is on its way to it.
      await write(`timeout 0.0${String(10 + i)} cat > read-${i}`, { on, waitSeconds: 0 });
      const line = `echo ran >> ran-${i}`;
      const asked = await write(line, { on }).catch((failure: unknown) => {
        expect(failure).toMatchObject({ code: 'session_busy' });
        return undefined;
      });
      while ((await read({ waitSeconds: 1 }, on)).state === 'busy');
      const isCommand = asked?.typedTo === 'shell';
      const went = await write(`cat ran-${i} 2>/dev/null | wc -l; cat read-${i}`, { on });
      expect(went.output.startsWith(isCommand ? '1\n' : '0\n'), `${i}: ${went.output}`).toBe(true);
    }
  });

  it('two servers writing at once lose nothing and double nothing', async () => {
    const on = await fresh();
    const second = machine.another().sessions;
    await read({}, on, second);
    const count = 8;
    const each = async (from: Shells, name: string): Promise<void> => {
      for (let i = 0; i < count; i += 1) {
        // Refused as busy means that nothing was typed: asked again until it is this one's turn.
        for (let typed = false; !typed; )
          typed = await write(`echo ${name}${i} >> both`, { on, from }).then(
            () => true,
            (failure: unknown) => {
              expect(failure).toMatchObject({ code: 'session_busy' });
              return false;
            },
          );
      }
    };
    await Promise.all([each(shells(), 'a'), each(second, 'b')]);
    const lines = (await onPod('cat "$HOME/both"')).trim().split('\n').sort();
    const expected = ['a', 'b'].flatMap((name) =>
      Array.from({ length: count }, (_, i) => `${name}${i}`),
    );
    expect(lines).toEqual(expected.sort());
  });

  it('reuses an idle shell, and never one that is busy or elsewhere [SE-03]', async () => {
    const reused = await shells().open(machine.podId, { reuse: true }, options);
    expect(reused.reused).toBe(true);
    expect((await shells().open(machine.podId, { reuse: true, cwd: '/usr' }, options)).reused).toBe(
      false,
    );
    const back = await shells().open(machine.podId, { reuse: true, cwd: '/usr' }, options);
    expect(back).toMatchObject({ reused: true, cwd: '/usr' });
    await expect(
      shells().open(machine.podId, { reuse: false, cwd: 'no/such' }, options),
    ).rejects.toMatchObject({ code: 'path_missing' });
  });

  it('close ends the shell and all it started, and the transcript stays [SE-17] [TR-01]', async () => {
    const on = await fresh();
    await write('sleep 72.011 & setsid sleep 72.012 & nohup sleep 72.013 >/dev/null 2>&1 &', {
      on,
    });
    const { commandId } = await write('echo last words; sleep 72.014', { on, waitSeconds: 0.5 });
    await expect(shells().close(on, { force: false }, options)).rejects.toMatchObject({
      code: 'session_busy',
    });
    const before = await read({ offset: 0 }, on);
    expect(await shells().close(on, { force: true }, options)).toMatchObject({
      state: 'closed',
      processesGone: 'yes',
    });
    expect(await onPod('ps -A -o args= | grep "sleep 72.01" | grep -v grep; true')).toBe('');
    const after = await read({ offset: 0 }, on, machine.another().sessions);
    expect(after.state).toBe('closed');
    expect(after.output.startsWith(before.output.trimEnd())).toBe(true);
    expect(after.output).toContain('last words');
    expect(commandId).toBeDefined();
    await expect(write('echo x', { on })).rejects.toMatchObject({ code: 'session_closed' });
    const file = path.join(machine.home, 'transcripts', `${on}.log`);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(path.join(machine.folderOnPod, '.gpu-lease', 'sessions'))).not.toContain(
      on,
    );
    expect(await shells().close(on, { force: false }, options)).toMatchObject({ state: 'closed' });
  });

  it('an exit of the shell is told with its code [SE-18]', async () => {
    const on = await fresh();
    expect(await write('exit 3', { on })).toMatchObject({
      done: true,
      exitCode: 3,
      state: 'closed',
    });
    expect(await read({ offset: 0 }, on)).toMatchObject({ state: 'closed' });
    expect((await shells().list()).find(({ sessionId }) => sessionId === on)).toMatchObject({
      exitCode: 3,
    });
  });

  it('a shell that was killed with its surroundings is lost, not failed [SE-20]', async () => {
    const on = await fresh();
    const folder = (await machine.store.sessions.get(on))?.folder ?? '';
    const pid = (await readFile(path.join(folder, 'pid'), 'utf8')).split(' ')[0] ?? '';
    const parents = await onPod(`p=$(ps -o ppid= -p ${pid}); q=$(ps -o ppid= -p $p); echo $p $q`);
    // Stopped first: none of them may see the others die and still write how it ended.
    await onPod(`kill -STOP ${parents.trim()} ${pid}; kill -9 ${parents.trim()} ${pid}`);
    await expect.poll(async () => (await read({}, on)).state, { timeout: 10_000 }).toBe('lost');
    await expect(write('echo x', { on })).rejects.toMatchObject({ code: 'session_lost' });
  });

  it('start-up files of the person may print and set what they like', async () => {
    const file = path.join(machine.folderOnPod, '.bashrc');
    await writeFile(
      file,
      `echo BANNER; PS1='\\[\\e[32m\\]fancy $ \\[\\e[0m\\]'; PROMPT_COMMAND='echo pc'; export FROM_RC=1\n`,
    );
    const on = await fresh();
    await writeFile(file, '');
    expect(await write('echo "rc $FROM_RC"', { on })).toMatchObject({
      output: 'rc 1\n',
      exitCode: 0,
    });
  });

  it('brings every transcript home before a pod goes', async () => {
    const on = await fresh();
    await write('echo remember me', { on });
    await shells().closePod(machine.podId, options);
    expect(
      (await shells().list(machine.podId)).every(
        ({ state }) => state === 'closed' || state === 'lost',
      ),
    ).toBe(true);
    expect((await read({ offset: 0 }, on)).output).toContain('remember me');
    expect(await onPod('ls "$HOME/.gpu-lease/sessions"')).toBe('');
  });
});
