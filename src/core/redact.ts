const PATTERNS: readonly RegExp[] = [
  /\b(?:hf|ghp|gho|ghs|github_pat|glpat|xox[abp]|sk|rpa|rps)[_-][A-Za-z0-9_-]{16,}/g,
  /\bAKIA[0-9A-Z]{16}\b/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
];

/** Masks known secret values and what looks like one. One per app; values are added when they are first used. */
export class Redactor {
  readonly #values = new Set<string>();

  /** Short values would mask ordinary words, so they are not registered. */
  add(value: string | undefined): void {
    if (value !== undefined && value.length >= 6) this.#values.add(value);
  }

  redact(text: string): string {
    let masked = text;
    for (const value of this.#values) masked = masked.replaceAll(value, '[redacted]');
    for (const pattern of PATTERNS) masked = masked.replace(pattern, '[redacted]');
    return masked;
  }
}
