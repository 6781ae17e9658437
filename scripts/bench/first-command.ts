import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { performance } from 'node:perf_hooks';
import { BuiltServer, sandbox, textAt } from '../../test/support/built-server.ts';
import { startSshd } from '../../test/support/sshd.ts';
import { quantile, say } from './figures.ts';

const ROUNDS = 15;
const LIMIT_FACTOR = 1.5;
const LIMIT_MILLISECONDS = 100;

/** From a pasted ssh command to the output of the first command, beside `ssh host true`, turn by turn against one real sshd. */
export async function benchFirstCommand(): Promise<void> {
  await using box = await sandbox();
  await using sshd = await startSshd();
  await using server = await BuiltServer.start(box);
  const { host, port, user } = sshd.endpoint;
  const flags = ['-F', 'none', '-o', 'BatchMode=yes', '-o', 'StrictHostKeyChecking=accept-new'];
  const known = `UserKnownHostsFile=${path.join(sshd.folder, 'known')}`;
  const ssh = ['-p', String(port), '-i', sshd.keyPath, `${user}@${host}`];
  const bare: number[] = [];
  const ours: number[] = [];
  const parts: Record<string, number[]> = { save: [], open: [], write: [] };
  for (let round = -1; round < ROUNDS; round += 1) {
    const start = performance.now();
    const { status } = spawnSync('ssh', [...flags, '-o', known, ...ssh, 'true']);
    if (status !== 0) throw new Error('ssh could not log in');
    const between = performance.now();
    const profileId = `first${round + 1}`;
    const sshCommand = `ssh ${ssh.join(' ')}`;
    await server.call('ssh_profile', { action: 'save', profileId, sshCommand });
    const saved = performance.now();
    const sessionId = textAt(await server.call('session_open', { profileId }), 'sessionId');
    const opened = performance.now();
    const written = await server.call('session_write', { sessionId, input: 'echo first' });
    const end = performance.now();
    if (!textAt(written, 'output').includes('first')) throw new Error('no output');
    if (round < 0) {
      const steps = [saved - between, opened - saved, end - opened].map((took) => took.toFixed(0));
      say('  the same in a server just started', `${steps.join(' + ')} ms`, '');
      continue;
    }
    bare.push(between - start);
    ours.push(end - between);
    parts['save']?.push(saved - between);
    parts['open']?.push(opened - saved);
    parts['write']?.push(end - opened);
  }
  const [theirs, mine] = [quantile(bare, 0.5), quantile(ours, 0.5)];
  const limit = LIMIT_FACTOR * theirs + LIMIT_MILLISECONDS;
  say(
    'pasted ssh command to first output, p50',
    `${mine.toFixed(0)} ms`,
    `<= ${limit.toFixed(0)} ms`,
  );
  say('  ssh host true, p50', `${theirs.toFixed(0)} ms`, '');
  const each = Object.entries(parts).map(
    ([name, took]) => `${name} ${quantile(took, 0.5).toFixed(0)}`,
  );
  say('  of it', `${each.join(', ')} ms`, '');
}
