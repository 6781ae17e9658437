import { Buffer } from 'node:buffer';
import { posix } from 'node:path';
import { ConfigError, InputError } from '../core/errors.ts';
import type { JobRequest } from '../core/job.ts';
import type { Secrets } from '../core/machine.ts';
import { isPlainSecret } from '../core/plain-secrets.ts';
import { quoteForeign } from '../core/untrusted.ts';

const MAX_COMMAND_BYTES = 256 * 1024;
const MAX_ENV_BYTES = 64 * 1024;
/** A year. The shell of the pod counts seconds, and not beyond its own numbers. */
const MAX_RUNTIME_MINUTES = 525_600;
const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Refuses what cannot run, before anything is written anywhere. Answers with the secret values by name. */
export function checkRequest(
  request: JobRequest,
  secrets: Secrets,
): Readonly<Record<string, string>> {
  checkCommand('command', request.command);
  if (request.smokeCommand !== undefined) checkCommand('smokeCommand', request.smokeCommand);
  if (!(request.maxRuntimeMinutes > 0 && request.maxRuntimeMinutes <= MAX_RUNTIME_MINUTES))
    throw new InputError(
      'invalid_input',
      `"maxRuntimeMinutes" must be above 0 and at most ${MAX_RUNTIME_MINUTES}.`,
    );
  for (const [field, text] of [
    ['cwd', request.cwd ?? ''],
    ['name', request.name ?? ''],
    ...request.artifacts.map((path): [string, string] => ['artifacts', path]),
  ] as const)
    if (text.includes('\0')) throw new InputError('invalid_input', `"${field}" holds a NUL byte.`);
  for (const name of [...Object.keys(request.env), ...request.secretEnv]) checkName(name);
  for (const [name, value] of Object.entries(request.env)) {
    if (value.includes('\0'))
      throw new InputError('invalid_input', `The value of "${name}" holds a NUL byte.`);
    if (isPlainSecret(name, value))
      throw new InputError('secret_refused', `env ${name} seems to hold a secret in plain text.`, {
        hint: `Let the user set ${name} as a variable of this server, then name it in secretEnv.`,
      });
  }
  const values: Record<string, string> = {};
  for (const name of request.secretEnv) {
    const value = secrets.value(name);
    if (value === undefined || value === '')
      throw new ConfigError(
        'config_missing',
        `The server's variable "${name}" is ${value === '' ? 'empty' : 'not set'}.`,
        { hint: `Ask the operator to set ${name} in the server's environment and restart it.` },
      );
    values[name] = value;
  }
  checkSize('env', request.env);
  checkSize('secretEnv', values);
  return values;
}

/**
 * Refuses outputs that neither the fetch nor the gate of destroy could reach: what is not below `cwd` (absolute, as the
 * pod names it).
 */
export function checkArtifacts(cwd: string, artifacts: readonly string[]): void {
  for (const declared of artifacts) {
    const whole = posix.resolve(cwd, declared === '' ? '.' : declared);
    const isBelow = whole === cwd || whole.startsWith(cwd.endsWith('/') ? cwd : `${cwd}/`);
    if (!isBelow || declared.startsWith('~'))
      throw new InputError(
        'invalid_input',
        `"artifacts" names ${JSON.stringify(declared)}, which is not below "cwd".`,
        {
          hint: 'Write outputs below cwd and name them relative to it, or start the job with the cwd that holds them.',
          foreignText: quoteForeign(`cwd: ${cwd}`, 600),
        },
      );
  }
}

function checkCommand(field: string, text: string): void {
  if (text.trim() === '') throw new InputError('invalid_input', `"${field}" is empty.`);
  if (text.includes('\0')) throw new InputError('invalid_input', `"${field}" holds a NUL byte.`);
  if (Buffer.byteLength(text) > MAX_COMMAND_BYTES)
    throw new InputError('too_large', `"${field}" is longer than 256 KiB.`, {
      hint: 'Put the script in a file, bring it over with sync_files, and start that file.',
    });
}

function checkName(name: string): void {
  if (!NAME.test(name))
    throw new InputError('invalid_input', 'A variable name must be letters, digits and "_".', {
      foreignText: name.slice(0, 100),
    });
  if (name.startsWith('GPU_LEASE_'))
    throw new InputError('invalid_input', 'Variable names that start with GPU_LEASE_ are ours.');
}

function checkSize(field: string, values: Readonly<Record<string, string>>): void {
  if (Buffer.byteLength(JSON.stringify(values)) > MAX_ENV_BYTES)
    throw new InputError('too_large', `"${field}" is larger than 64 KiB.`, {
      hint: 'Put the data in a file and bring it over with sync_files.',
    });
}
