import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { listAt, numberAt, sandbox, textAt } from '../support/built-server.ts';
import type { Caller } from '../support/day.ts';
import { finished } from '../support/day.ts';
import { CLIENTS, clientOf } from '../support/e2e-client.ts';
import { openSsh } from '../support/profile-bench.ts';
import { inConsole, madeByHand } from '../support/runpod-console.ts';
import { startRunpodSandbox } from '../support/runpod-sandbox.ts';
import { startSshd } from '../support/sshd.ts';

const LONG = 120_000;
const LIMITS = ['cost', 'deadline', 'cleanup: nothing of ours stops or destroys this machine'];
const wrote = async (client: Caller, sessionId: string, input: string) =>
  client.call('session_write', { sessionId, input, waitSeconds: 20 });
interface Event {
  readonly kind: string;
  readonly message: string;
}
const eventsIn = async (file: string): Promise<readonly Event[]> =>
  (await readFile(file, 'utf8'))
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Event);

describe.each(CLIENTS)('the lane of the user, step by step, by %s', (kind) => {
  it(
    'a pasted ssh command to an OpenSSH server',
    async () => {
      await using box = await sandbox();
      await using sshd = await startSshd();
      const progress = path.join(box.home, 'progress.jsonl');
      await using client = await clientOf(kind, box, { OPENCOLAB_PROGRESS_FILE: progress });
      const { host, port, user } = sshd.endpoint;

      // Nothing is known yet, nothing is rented, nothing is guessed.
      expect(await client.call('ssh_profile', { action: 'list' }), '[MO-02]').toMatchObject({
        profiles: [],
      });
      const save = { action: 'save', profileId: 'trainer' };
      const noPort = await client.tool('ssh_profile', { ...save, host, user });
      expect(noPort, '[MO-04] [PR-02]').toMatchObject({
        isError: true,
        data: { code: 'invalid_input', message: expect.stringContaining('port') as string },
      });
      const odd = await client.tool('ssh_profile', { ...save, sshCommand: `ssh -R 1:a:2 ${host}` });
      expect(odd, '[PR-03]').toMatchObject({ isError: true, data: { code: 'invalid_input' } });
      expect(textAt(odd.data, 'message')).toContain('-R');
      expect(await client.call('ssh_profile', { action: 'list' })).toMatchObject({ profiles: [] });

      // Saved from what the console shows; only the path of the key is kept.
      const sshCommand = `ssh -tt -p ${port} -i ${sshd.keyPath} -o StrictHostKeyChecking=no ${user}@${host}`;
      const saved = await client.call('ssh_profile', { ...save, sshCommand, setDefault: true });
      expect(saved, '[PR-01]').toMatchObject({
        profiles: [{ profileId: 'trainer', host, port, user, keyPath: sshd.keyPath }],
      });
      const state = await readFile(path.join(box.home, 'state.db'), 'latin1');
      expect(state.includes('PRIVATE KEY'), '[KE-08]').toBe(false);

      // Tested: an authenticated command that does nothing; nobody to refresh from, and so it says.
      const tested = await client.call('ssh_profile', { action: 'test' });
      expect(tested, '[PR-08] [PR-09]').toMatchObject({ status: 'ready', refreshed: false });
      expect(textAt(tested, 'profiles.0.validatedAt')).not.toBe('');

      // A session, a cheap look first, one concrete command at a time.
      const opened = await client.call('session_open', { profileId: 'trainer' });
      const sessionId = textAt(opened, 'sessionId');
      expect(sessionId, '[MO-05] [SE-01]').toMatch(/^ses_/);
      const look = await wrote(client, sessionId, 'nvidia-smi || true; df -h . | tail -1; pwd');
      expect(look, '[SE-29]').toMatchObject({ done: true, exitCode: 0 });
      expect(textAt(look, 'output')).toContain('%');
      const again = await client.call('session_open', { profileId: 'trainer' });
      expect(textAt(again, 'sessionId'), '[SE-01]').toBe(sessionId);

      // Only what is needed goes up, after a dry run.
      const project = path.join(box.workspace, 'project');
      await mkdir(path.join(project, 'src'), { recursive: true });
      await writeFile(
        path.join(project, 'train.sh'),
        'echo step 1/2; echo step 2/2; mkdir -p out; echo 0.25 > out/loss.txt\n',
      );
      await writeFile(path.join(project, 'src/notes.md'), 'not needed there\n');
      await writeFile(path.join(project, '.env'), 'HF_TOKEN=hf_abcdefghijklmnopqrstuvwxyz012345\n');
      const narrow = {
        profileId: 'trainer',
        localPath: 'project',
        remotePath: 'project',
        include: ['train.sh'],
      };
      const dry = await client.call('sync_files', { ...narrow, dryRun: true });
      expect(dry, '[SY-01] [SY-04]').toMatchObject({ sent: { files: 1 } });
      expect(textAt(await wrote(client, sessionId, 'ls project 2>&1'), 'output')).toMatch(
        /No such/,
      );
      expect(await client.call('sync_files', narrow)).toMatchObject({ verified: true });
      const there = await wrote(client, sessionId, 'cd project && ls -A');
      expect(textAt(there, 'output'), '[SY-02] [SY-18]').toBe('train.sh\n');

      // Short work is watched, page by page; long work is detached and leaves pid, log and a first line.
      const ran = await wrote(client, sessionId, 'sh train.sh; sh -c "exit 3"');
      expect(ran, '[SE-05]').toMatchObject({ done: true, exitCode: 3 });
      const page = await client.call('session_read', {
        sessionId,
        offset: numberAt(ran, 'offset'),
        maxBytes: 12,
      });
      expect(numberAt(page, 'offset'), '[SE-07]').toBe(numberAt(ran, 'offset'));
      expect(numberAt(page, 'nextOffset')).toBeGreaterThan(numberAt(page, 'offset'));
      const job = await client.call('job_start', {
        profileId: 'trainer',
        command: 'sh train.sh',
        cwd: 'project',
        artifacts: ['out/loss.txt', 'out/never.bin'],
      });
      const jobId = textAt(job, 'jobId');
      expect(jobId, '[SE-16] [JO-01]').toMatch(/^job_/);
      expect(await finished(client, jobId)).toMatchObject({ status: 'completed', exitCode: 0 });
      const log = await client.call('job_logs', { jobId, stream: 'stdout' });
      expect(textAt(log, 'output'), '[JO-22] [TR-06]').toBe('step 1/2\nstep 2/2\n');

      // Outputs: size first, then home with both lists; nothing found is not a success.
      const sized = await client.call('fetch_artifacts', {
        podId: 'ssh:trainer',
        paths: ['project/out'],
        localPath: 'results',
        dryRun: true,
      });
      expect(JSON.stringify(sized), '[AR-19]').toContain('loss.txt');
      const home = await client.call('fetch_artifacts', { jobId, localPath: 'results' });
      expect(home, '[AR-09]').toMatchObject({
        manifest: { files: [{ path: expect.stringContaining('loss.txt') as string }] },
        missing: [expect.stringContaining('never.bin') as string],
      });
      const none = await client.tool('fetch_artifacts', {
        podId: 'ssh:trainer',
        paths: ['project/nothing-*'],
        localPath: 'none',
      });
      expect(none, '[AR-04]').toMatchObject({ isError: true, data: { code: 'path_missing' } });

      // Stopped when done; the whole of it is in a file, not in the conversation.
      expect(await client.call('session_close', { sessionId }), '[SE-19]').toMatchObject({
        state: 'closed',
      });
      const report = await client.call('report', { podId: 'ssh:trainer' });
      expect(report, '[RP-01] [RP-04] [MO-03]').toMatchObject({
        podId: 'ssh:trainer',
        mode: 'user_managed',
        success: { command: 'yes', artifacts: 'partly', scientific: 'unknown' },
        filesMissing: [expect.stringContaining('never.bin') as string],
        notTracked: LIMITS,
        sessions: [{ sessionId, state: 'closed' }],
      });
      expect(textAt(report, 'nextStep'), '[RP-05]').not.toBe('');
      expect(report).not.toHaveProperty('destroyed');
      const way = `${user}@${host}:${port}`;
      expect(listAt(report, 'connections'), '[PR-16]').toEqual([
        expect.stringContaining(`${way}, route direct`) as string,
      ]);
      const transcript = await readFile(textAt(report, 'sessions.0.transcript'), 'utf8');
      expect(transcript, '[TR-01]').toContain('step 2/2');
      expect(await client.call('get_pod', { podId: 'ssh:trainer' }), '[PR-14]').toMatchObject({
        pod: { endpoint: { host, port, user, route: 'direct' } },
      });

      // Never ours to end.
      const refused = await client.tool('destroy', { podId: 'ssh:trainer' });
      expect(refused, '[TD-16]').toMatchObject({ isError: true, data: { code: 'not_owned' } });
      expect(await client.call('ssh_profile', { action: 'test' })).toMatchObject({
        status: 'ready',
      });

      // The points of progress, one line each.
      const told = (await eventsIn(progress)).map(({ message }) => message).join('\n');
      for (const point of [
        /Profile trainer is saved/,
        /Profile trainer: ready/,
        /Session ses_\w+ .*is idle/,
        /Sent 1 file .*All verified/,
        /Job job_\w+ .*is completed/,
        /1 file .* came home/,
        /path_missing/,
        /Session ses_\w+ is closed/,
      ])
        expect(told, '[PG-06] [PG-07]').toMatch(point);
      expect(told, '[KE-11]').not.toContain('hf_abcdefghijklmnop');
    },
    LONG,
  );

  it(
    'a pod id of RunPod that the user made: its address comes from the cloud, and after a restart again',
    async () => {
      await using cloud = await startRunpodSandbox({
        speed: 30,
        runpod: { portSeconds: 1, sshSeconds: 1, staleSeconds: 1 },
      });
      await using box = await sandbox();
      const key = path.join(box.home, 'mine');
      await openSsh('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
      const id = await madeByHand(cloud, (await readFile(`${key}.pub`, 'utf8')).trim());
      await using client = await clientOf(kind, box, cloud.variables);
      const podId = `runpod:${id}`;
      await client.call('ssh_profile', { action: 'save', profileId: 'mine', podId, keyPath: key });
      const tested = async () => client.call('ssh_profile', { action: 'test', profileId: 'mine' });
      await expect
        .poll(async () => (await tested())['status'], { timeout: 40_000, interval: 500 })
        .toBe('ready');
      const first = await tested();
      expect(first, '[PR-09]').toMatchObject({ status: 'ready', refreshed: true });
      const { port } = (first['profiles'] as readonly { port: number }[])[0] ?? { port: 0 };

      const open = async () => client.call('session_open', { profileId: 'mine' });
      const sessionId = textAt(await open(), 'sessionId');
      const card = await wrote(client, sessionId, 'nvidia-smi -L');
      expect(textAt(card, 'output')).toMatch(/^GPU 0: .*4090/);

      // It is the user's: nothing of ours ends it or takes it for its own.
      for (const args of [{ podId }, { podId: 'ssh:mine' }]) {
        const refused = await client.tool('destroy', args);
        expect(refused, '[OW-03] [TD-16]').toMatchObject({
          isError: true,
          data: { code: 'not_owned' },
        });
      }
      expect(await client.call('list_pods'), '[MO-01]').toMatchObject({
        pods: expect.arrayContaining([
          expect.objectContaining({ podId, mode: 'unmanaged' }),
          expect.objectContaining({ podId: 'ssh:mine', mode: 'user_managed' }),
        ]) as unknown,
      });

      // The user restarts it in the console: another port, which nobody has to paste.
      await inConsole(cloud, `POST /pods/${id}/action`, { action: 'stop' });
      const isStopped = async () =>
        (await inConsole<{ status: string }>(cloud, `GET /pods/${id}`)).status === 'EXITED';
      await expect.poll(isStopped, { timeout: 20_000 }).toBe(true);
      await inConsole(cloud, `POST /pods/${id}/action`, { action: 'start' });
      const back = async (): Promise<boolean> => {
        const answer = await client.tool('session_open', { profileId: 'mine', reuse: false });
        if (answer.isError) return false;
        const said = await wrote(client, textAt(answer.data, 'sessionId'), 'echo back');
        return said['output'] === 'back\n';
      };
      await expect.poll(back, { timeout: 60_000, interval: 500 }).toBe(true);
      const shown = await client.call('ssh_profile', { action: 'show', profileId: 'mine' });
      expect(numberAt(shown, 'profiles.0.port'), '[PR-10]').not.toBe(port);

      const report = await client.call('report', { podId: 'ssh:mine' });
      expect(report, '[RP-04]').toMatchObject({ mode: 'user_managed', notTracked: LIMITS });
      const ways = listAt(report, 'connections').join('\n');
      // Raw list, mapping, mode, user@host:port, for both boots.
      expect(ways, '[PR-16] [PR-14]').toContain(`root@127.0.0.1:${port}, route direct`);
      expect(ways).toContain(`by the mapping 22/tcp -> 127.0.0.1:${port} (public)`);
      expect(ways).toContain('8888/http -> ');
      expect(ways).toContain(`root@127.0.0.1:${numberAt(shown, 'profiles.0.port')}`);
      expect(cloud.books().instances.map((one) => one.billing)).toEqual([true]);
      await inConsole(cloud, `DELETE /pods/${id}`);
    },
    LONG,
  );
});
