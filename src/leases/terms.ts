import { ConfigError, InputError } from '../core/errors.ts';
import type { Terms } from '../core/lease.ts';
import type { Secrets } from '../core/machine.ts';
import { hasSecretName, isPlainSecret, looksSecret } from '../core/plain-secrets.ts';
import { registryLoginOf } from './registry.ts';
import { given, planOf } from './request.ts';

const SETUP_LIMIT_BYTES = 16_384;
const SECRET_ASSIGNMENT =
  /\b[A-Z0-9_]*(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY)=["']?[A-Za-z0-9+/_.-]{8,}/i;
const NOT_A_VALUE = new Set(['null', 'undefined', 'None']);

/**
 * Refuses what must not be sent to a cloud: secrets in plain text, names that are no names, choices that exclude each
 * other. Throws `invalid_input`, `too_large`, `secret_refused`, `config_missing`.
 */
export function checkTerms(terms: Terms, secrets: Secrets): void {
  const { image, template, workload, setup = '', env, secretEnv } = terms;
  const choices = [image, template, workload].filter((choice) => given(choice) !== undefined);
  if (choices.length > 1) invalid('Give only one of image, template and workload.');
  checkPodName(terms.name);
  if (Buffer.byteLength(setup) > SETUP_LIMIT_BYTES)
    throw new InputError('too_large', `setup is larger than ${SETUP_LIMIT_BYTES} bytes.`, {
      hint: 'Keep setup short. Bring files with sync_files and start long work with job_start.',
    });
  if (setup.includes('\0')) invalid('setup holds a NUL byte.');
  if (looksSecret(setup) || SECRET_ASSIGNMENT.test(setup)) refuse('setup');
  for (const [name, value] of Object.entries(env)) {
    checkName(name, 'env');
    if (value.includes('\0')) invalid(`env ${name} holds a NUL byte.`);
    if (NOT_A_VALUE.has(value) && hasSecretName(name))
      invalid(`env ${name} is the word "${value}", not a value.`);
    if (isPlainSecret(name, value)) refuse(`env ${name}`);
  }
  for (const name of secretEnv) checkName(name, 'secretEnv');
  planOf(terms);
  secretValues(terms, secrets);
  const registryAuth = given(terms.registryAuth);
  if (registryAuth !== undefined) registryLoginOf(registryAuth, secrets);
}

/** Throws `invalid_input` for a name that a list could not show on one line. */
export function checkPodName(name: string | undefined): void {
  if (name !== undefined && !/^[^\p{C}]{1,100}$/u.test(name))
    invalid('name must be 1 to 100 printable characters.');
}

/** The values of `secretEnv`, only ever handed to the cloud. Throws `config_missing` that names the variable. */
export function secretValues(
  { secretEnv }: Pick<Terms, 'secretEnv'>,
  secrets: Secrets,
): Readonly<Record<string, string>> {
  return Object.fromEntries(
    secretEnv.map((name) => {
      const value = secrets.value(name);
      if (value === undefined || value === '')
        throw new ConfigError('config_missing', `The variable ${name} is not set for this server.`);
      return [name, value];
    }),
  );
}

function checkName(name: string, field: string): void {
  if (!/^[A-Za-z_][A-Za-z0-9_]{0,127}$/.test(name))
    invalid(`${field} holds a name that is not an environment variable.`);
}
function invalid(message: string): never {
  throw new InputError('invalid_input', message);
}
function refuse(where: string): never {
  throw new InputError('secret_refused', `${where} seems to hold a secret in plain text.`, {
    hint: 'Let the user set it as a variable of this server, then name it in secretEnv.',
  });
}
