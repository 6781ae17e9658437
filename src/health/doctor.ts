import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, constants, readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { CallOptions, Clock } from '../core/call.ts';
import { InputError } from '../core/errors.ts';
import type { Doctor } from '../core/health.ts';
import type { ProviderName } from '../core/ids.ts';
import type { SshIdentity } from '../core/machine.ts';
import type { Providers } from '../core/provider.ts';
import { accountNotes, checkProvider, KNOWN_PROVIDERS, type KnownProvider } from './accounts.ts';
import { homeProblem, keyProblem, workspaceProblem } from './settings.ts';

export interface DoctorDeps {
  readonly providers: Providers;
  readonly identity: SshIdentity;
  readonly clock: Clock;
  readonly home: string;
  readonly workspace: string;
  /** What else the person should know of the setup, in our own words. */
  readonly notes?: (() => Promise<readonly string[]>) | undefined;
  /** Every provider that can be switched on, and the variable that does it. Default: those of this version. */
  readonly knownProviders?: readonly KnownProvider[] | undefined;
}
const NO_KEY = 'No SSH key yet: it is made with the first pod, or now with fix "generate_ssh_key".';
const TOOLS = ['ssh', 'scp', 'rsync', 'tar', 'git', 'nvidia-smi'] as const;

/** Looks at keys, accounts and tools. A provider that fails is shown as such and hides no other. */
export function createDoctor(deps: DoctorDeps): Doctor {
  return {
    async check({ fix, provider }, options) {
      const fixed: string[] = [];
      if (fix === 'generate_ssh_key' && (await fingerprintOf(deps.identity)) === undefined) {
        await deps.identity.publicKey(options);
        fixed.push(`Made an SSH key pair at ${deps.identity.keyPath}.`);
      }
      if (fix === 'register_ssh_key') fixed.push(...(await registerKey(deps, provider, options)));
      const all = deps.knownProviders ?? KNOWN_PROVIDERS;
      const known = all.filter(({ name }) => provider === undefined || name === provider);
      const [providers, fingerprint, tools, problem, ...folders] = await Promise.all([
        Promise.all(
          known.map(async (each) => checkProvider(deps.providers.get(each.name), each, options)),
        ),
        fingerprintOf(deps.identity),
        findTools(),
        keyProblem(deps.identity.keyPath, deps.home),
        homeProblem(deps.home),
        workspaceProblem(deps.workspace),
      ]);
      const problems = [problem, ...folders].filter((each) => each !== undefined);
      const sshKey = {
        path: deps.identity.keyPath,
        exists: fingerprint !== undefined,
        ...(fingerprint === undefined ? {} : { fingerprint }),
        ...(problem === undefined ? {} : { problem }),
      };
      const hasKey = sshKey.exists || problem !== undefined;
      const missing = [
        ...problems,
        ...(hasKey ? [] : [NO_KEY]),
        ...accountNotes(providers, all),
        ...((await deps.notes?.()) ?? []),
      ];
      return {
        providers,
        sshKey,
        tools,
        home: deps.home,
        workspace: deps.workspace,
        missing,
        problems,
        fixed,
      };
    },
  };
}

/** On one provider, or on all that keep keys on the account. */
async function registerKey(
  deps: DoctorDeps,
  name: ProviderName | undefined,
  options: CallOptions,
): Promise<readonly string[]> {
  const chosen = [...deps.providers.values()].filter(
    (each) => name === undefined || each.name === name,
  );
  const able = chosen.flatMap(({ name: at, keys }) => (keys === undefined ? [] : [{ at, keys }]));
  if (able.length === 0)
    throw new InputError(
      'unsupported',
      name === undefined
        ? 'No configured provider keeps SSH keys on the account.'
        : `Provider "${name}" is not configured or keeps no SSH keys on the account.`,
      { hint: 'Nothing has to be registered there: every pod is given our key when it is made.' },
    );
  const publicKey = await deps.identity.publicKey(options);
  const fixed: string[] = [];
  for (const { at, keys } of able) {
    await keys.registerKey(publicKey, options);
    fixed.push(`Registered our SSH key with ${at}.`);
  }
  return fixed;
}

/** "SHA256:…" as ssh-keygen says it; `undefined` while there is no key pair. Makes nothing. */
async function fingerprintOf(identity: SshIdentity): Promise<string | undefined> {
  try {
    await access(identity.keyPath, constants.R_OK);
  } catch {
    return undefined;
  }
  const line = await readFile(`${identity.keyPath}.pub`, 'utf8').catch(async () =>
    run('ssh-keygen', ['-y', '-P', '', '-f', identity.keyPath]),
  );
  const blob = line.trim().split(/\s+/)[1];
  if (blob === undefined) return 'unknown';
  const digest = createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64');
  return `SHA256:${digest.replace(/=+$/, '')}`;
}

/** Asks the shell, which knows PATH. Without one (Windows) nothing is found. */
async function findTools(): Promise<Readonly<Record<string, boolean>>> {
  const script = 'for tool; do command -v "$tool" >/dev/null 2>&1 && echo "$tool"; done; exit 0';
  const found = await run('sh', ['-c', script, 'sh', ...TOOLS]);
  const names = found.split('\n');
  return Object.fromEntries(TOOLS.map((tool) => [tool, names.includes(tool)]));
}

/** Standard output, or nothing when it failed. */
async function run(file: string, args: readonly string[]): Promise<string> {
  try {
    return (await promisify(execFile)(file, [...args], { timeout: 10_000 })).stdout;
  } catch {
    return '';
  }
}
