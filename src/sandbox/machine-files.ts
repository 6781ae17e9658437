import { generateKeyPairSync } from 'node:crypto';
import { chmod, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { randomToken } from '../core/ids.ts';
import { isMissing } from '../core/json-file.ts';
import { shellQuote } from '../core/shell-quote.ts';
import type { MachineGpu, MachineSpec } from './machines.ts';
import { nvidiaSmiScript } from './nvidia-smi.ts';

/** What a machine needs beside its pod: a folder with programs of its own. */
export interface MachineFolder {
  /** Stands first on its PATH. */
  readonly bin: string;
  /** A valid key that nobody holds: who may log in stands in the machine's own authorized_keys. */
  readonly nobodysKey: string;
  bootScript(spec: MachineSpec): string;
  remove(): Promise<void>;
}

/** Makes the folder of a machine: its `nvidia-smi` is nowhere but there. */
export async function furnish(root: string, gpu: MachineGpu): Promise<MachineFolder> {
  const bin = path.join(root, 'bin');
  await mkdir(bin, { recursive: true, mode: 0o700 });
  const program = path.join(bin, 'nvidia-smi');
  await writeFile(program, nvidiaSmiScript(gpu), { mode: 0o700 });
  await chmod(program, 0o700);
  return {
    bin,
    nobodysKey: newPublicKey(),
    bootScript: (spec) => bootScript(bin, spec),
    remove: async () => rm(root, { recursive: true, force: true }),
  };
}

/** Puts `keys` in the place of `before` in the machine's list, in one step. Other lines of it stay. */
export async function writeKeys(
  home: string,
  before: readonly string[],
  keys: readonly string[],
): Promise<void> {
  const folder = path.join(home, '.ssh');
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const file = path.join(folder, 'authorized_keys');
  const ours = new Set([...before, ...keys].map((key) => key.trim()));
  const others = (await textOf(file)).split('\n').filter((line) => line !== '' && !ours.has(line));
  const lines = [...keys.map((key) => key.trim()), ...others];
  const draft = `${file}.${randomToken(6)}`;
  await writeFile(draft, lines.map((line) => `${line}\n`).join(''), { mode: 0o600 });
  await rename(draft, file);
}

/** What the boot script printed until now; nothing where there is none. */
export async function readBootLog(home: string): Promise<string> {
  return textOf(path.join(home, '.gpu-lease', 'bootstrap.log'));
}

async function textOf(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((failure: unknown) => {
    if (isMissing(failure)) return '';
    throw failure;
  });
}

/**
 * The script a machine boots with. Its variables are those of the container: sessions do not see them unless the script
 * writes them to /etc/environment, which here is a file of the machine's own, read at login as the real one is. A login
 * shell sets PATH anew, so the profile puts the machine's programs first again.
 */
function bootScript(
  bin: string,
  { env, setup = '', refusesKeys }: Pick<MachineSpec, 'env' | 'setup' | 'refusesKeys'>,
): string {
  const names = Object.keys(env).filter((name) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name));
  const profile = `PATH=${shellQuote(bin)}:$PATH; export PATH`;
  return [
    `[ -e "$HOME/.profile" ] || printf '%s\n' ${shellQuote(profile)} >"$HOME/.profile"`,
    'mkdir -p -m 700 "$HOME/.ssh"',
    // A folder in the place of the list: no key gets in, whoever brings it.
    ...(refusesKeys === true ? ['mkdir -p "$HOME/.ssh/authorized_keys"'] : []),
    // The cloud of this machine is on loopback, where no proxy leads.
    'export no_proxy="${no_proxy:+$no_proxy,}127.0.0.1,localhost"; export NO_PROXY="$no_proxy"',
    ...names.map((name) => `export ${name}=${shellQuote(env[name] ?? '')}`),
    ...(setup === '' ? [] : [runAsFile(setup)]),
  ].join('\n');
}

/** As a container does: kept in a file, whose first line decides what reads it; without one bash does, where it is. */
function runAsFile(setup: string): string {
  const end = `END_${randomToken()}`;
  const own = setup.replaceAll('/etc/environment', '"$HOME"/.ssh/environment');
  return `cat >"$HOME/onstart.sh" <<'${end}'
${own}
${end}
chmod 700 "$HOME/onstart.sh"
case $(head -c 2 "$HOME/onstart.sh") in '#!') exec "$HOME/onstart.sh" ;; esac
if command -v bash >/dev/null 2>&1; then exec bash "$HOME/onstart.sh"; fi
exec sh "$HOME/onstart.sh"`;
}

/** One line for authorized_keys whose private half is thrown away. */
function newPublicKey(): string {
  const { publicKey } = generateKeyPairSync('ed25519');
  const der = publicKey.export({ type: 'spki', format: 'der' });
  const kind = Buffer.from('ssh-ed25519');
  const blob = Buffer.concat([sized(kind), sized(der.subarray(-32))]);
  return `ssh-ed25519 ${blob.toString('base64')} nobody`;
}
function sized(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
