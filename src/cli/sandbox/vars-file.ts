import { readFile, rm, writeFile } from 'node:fs/promises';
import { InputError } from '../../core/errors.ts';
import type { SandboxOrigin } from '../../core/sandbox.ts';
import { shellQuote } from '../../core/shell-quote.ts';

/** The variables of all clouds together. */
export function variablesOf(origins: readonly SandboxOrigin[]): Readonly<Record<string, string>> {
  return Object.fromEntries(origins.flatMap(({ variables }) => Object.entries(variables)));
}

/** Lines for a shell that point every client here. */
export function exportLines(origins: readonly SandboxOrigin[]): readonly string[] {
  return Object.entries(variablesOf(origins)).map(
    ([name, value]) => `export ${name}=${shellQuote(value)}`,
  );
}

/** Writes the lines for `source`; dispose removes the file again, unless somebody changed it. Throws `path_missing`. */
export async function writeVarsFile(
  file: string,
  lines: readonly string[],
): Promise<AsyncDisposable> {
  const text = `${lines.join('\n')}\n`;
  try {
    await writeFile(file, text, { mode: 0o600 });
  } catch (cause) {
    throw new InputError('path_missing', `The variables cannot be written to ${file}.`, { cause });
  }
  return {
    async [Symbol.asyncDispose]() {
      const now = await readFile(file, 'utf8').catch(() => undefined);
      if (now === text) await rm(file, { force: true });
    },
  };
}
