import { chmod, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import ssh2 from 'ssh2';
import type { Clock } from '../core/call.ts';
import type { EmbeddedPodConfig, EmbeddedPodState } from '../core/embedded-pod.ts';
import { isMissing } from '../core/json-file.ts';
import { processIdentity } from '../core/local-process.ts';
import { runSetup } from './bootstrap.ts';
import { createConnections } from './connections.ts';
import { loginShell, podEnvironment } from './environment.ts';
import { type PodFolder, preparePodFolder } from './folder.ts';
import { startGuard } from './guard.ts';
import { watchLife } from './life.ts';
import { endProcesses, removePodFolder } from './teardown.ts';

export interface ServeDeps {
  readonly folder: PodFolder;
  readonly config: EmbeddedPodConfig;
  readonly clock: Clock;
  readonly outerEnvironment: Readonly<Record<string, string | undefined>>;
  readonly log: (line: string) => void;
  /** The argv that starts this program, without its arguments. */
  readonly program: readonly string[];
  /** Aborted when the process is told to end: the pod stops. */
  readonly signal: AbortSignal;
}

/** Serves the pod until it ends; on return its processes are gone and the folder says, or shows, what became of it. */
export async function servePod(deps: ServeDeps): Promise<void> {
  const { folder, config, clock, log } = deps;
  const me = await processIdentity(process.pid);
  if (me === undefined) throw new Error('This process cannot be identified.');
  await preparePodFolder(folder);
  const before = await folder.state().catch(() => undefined);
  let state: Omit<EmbeddedPodState, 'updatedAt'> = {
    status: 'starting',
    process: me,
    ...(before?.setupExitCode === undefined ? {} : { setupExitCode: before.setupExitCode }),
  };
  const say = async (change: Partial<EmbeddedPodState>): Promise<void> => {
    state = { ...state, ...change };
    await folder.writeState(state);
  };
  await say({});

  const hostKey = await hostKeyOf(folder);
  const home = folder.file('home');
  const environment = podEnvironment(folder.path, config, deps.outerEnvironment);
  startGuard([...deps.program, folder.path, 'guard'], environment, (failure) => {
    log(`guard: ${failure.message}`);
  });
  const { authorizedKeys } = config;
  const connections = createConnections({
    hostKey: hostKey.privateKey,
    authorizedKeys,
    home,
    environment,
    shell: loginShell(),
    log,
  });
  const listener = createServer((socket) => {
    connections.accept(socket);
  });
  const port = await listen(listener);
  await say({ status: 'running', port, hostKey: hostKey.publicBlob });
  if (config.setup !== undefined && (before === undefined || config.setupEveryStart === true))
    runSetup(config.setup, home, environment)
      .then(async (setupExitCode) => say({ setupExitCode }))
      .catch((failure: unknown) => {
        log(`setup: ${String(failure)}`);
      });

  const end = await watchLife({
    folder,
    clock,
    signal: deps.signal,
    alarm: async (words) => say({ alarm: words ?? '' }),
  });
  log(`ending: ${end}`);
  listener.close();
  connections.close();
  if (end === 'replaced') return;
  const left = await endProcesses(config.podToken, clock);
  if (left > 0) {
    await say({ status: 'failed', alarm: 'Some processes of this pod could not be ended.' });
    return;
  }
  if (end === 'destroy') await removePodFolder(folder.path, clock);
  else await say({ status: 'stopped' });
}

async function listen(listener: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once('error', reject);
    listener.listen(0, '127.0.0.1', () => {
      const address = listener.address();
      if (address === null || typeof address === 'string') reject(new Error('No port.'));
      else resolve(address.port);
    });
  });
}

/** The pod's own key, made once, so that a restarted pod is still the machine its clients know. */
async function hostKeyOf(
  folder: PodFolder,
): Promise<{ readonly privateKey: string; readonly publicBlob: string }> {
  const file = folder.file('hostKey');
  const known = await readFile(file, 'utf8').catch((failure: unknown) => {
    if (isMissing(failure)) return undefined;
    throw failure;
  });
  const privateKey = known ?? newHostKey();
  if (known === undefined) {
    await writeFile(file, privateKey, { mode: 0o600, flag: 'wx' });
    await chmod(file, 0o600);
  }
  const parsed = ssh2.utils.parseKey(privateKey);
  if (parsed instanceof Error) throw parsed;
  return { privateKey, publicBlob: parsed.getPublicSSH().toString('base64') };
}

/** Tried before it is used: a key that cannot prove itself would lock everybody out for good. */
function newHostKey(): string {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const { private: privateKey } = ssh2.utils.generateKeyPairSync('ed25519');
    const parsed = ssh2.utils.parseKey(privateKey);
    if (parsed instanceof Error) continue;
    const proof = Buffer.from('proof');
    const signature: unknown = parsed.sign(proof);
    if (Buffer.isBuffer(signature) && isTrue(parsed.verify(proof, signature))) return privateKey;
  }
  throw new Error('No host key could be made.');
}

/** ssh2 answers what it cannot read with an Error, which its types do not say. */
function isTrue(verdict: unknown): boolean {
  return verdict === true;
}
