import { isMaskable, Redactor } from './redact.ts';

const SECRET_NAME =
  /(?:TOKEN|SECRET|PASSWORD|PASSWD|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY|CREDENTIALS?)$/i;

/** Whether a text holds what is a secret by its shape. */
export function looksSecret(text: string): boolean {
  return new Redactor().redact(text) !== text;
}

/** Whether a variable is called like a secret. */
export function hasSecretName(name: string): boolean {
  return SECRET_NAME.test(name);
}

/** Whether a variable that was given with its value seems to be a secret. */
export function isPlainSecret(name: string, value: string): boolean {
  return looksSecret(value) || (hasSecretName(name) && value.length >= 8);
}

/** What the person should know of secrets that are too short to be masked; undefined where none is. Names only. */
export function shortSecretWords(values: Readonly<Record<string, string>>): string | undefined {
  const short = Object.keys(values).filter((name) => !isMaskable(values[name] ?? ''));
  return short.length === 0
    ? undefined
    : `Too short to be masked (under 6 characters): ${short.join(', ')}. Whatever prints such a value shows it.`;
}
