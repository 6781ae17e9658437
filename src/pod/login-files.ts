import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import ssh2, { type ParsedKey } from 'ssh2';

const MAX_BYTES = 256 * 1024;

/**
 * The keys of `~/.ssh/authorized_keys` as it is now. A line with options is left out: what it limits would not be limited
 * here. So is a file that others may write.
 */
export function keysOfHome(home: string): readonly ParsedKey[] {
  return linesOf(path.join(home, '.ssh', 'authorized_keys')).flatMap((line) => {
    if (!/^(?:ssh-|ecdsa-|sk-)/.test(line)) return [];
    const parsed: unknown = ssh2.utils.parseKey(line);
    const key = ssh2.utils.parseKey(line);
    return parsed instanceof Error || key instanceof Error ? [] : [key];
  });
}

/** The `NAME=value` lines of `~/.ssh/environment`, quotes taken off. */
export function variablesOfHome(home: string): readonly (readonly [string, string])[] {
  return linesOf(path.join(home, '.ssh', 'environment')).flatMap((line) => {
    const [, name, value = ''] = /^(?:export )?([A-Za-z_][A-Za-z0-9_]*)=(.*)$/.exec(line) ?? [];
    if (name === undefined) return [];
    const [, , quoted] = /^(["'])(.*)\1$/.exec(value) ?? [];
    return [[name, quoted ?? value] as const];
  });
}

function linesOf(file: string): readonly string[] {
  try {
    const { mode, size } = statSync(file);
    if ((mode & 0o022) !== 0 || size > MAX_BYTES) return [];
    return readFileSync(file, 'utf8')
      .split('\n')
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
  } catch {
    return [];
  }
}
