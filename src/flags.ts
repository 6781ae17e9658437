import { ConfigError } from './core/errors.ts';
import { SETTINGS } from './settings.ts';

/**
 * Flags of the configuration may stand anywhere on the command line, before `--`; the other words belong to the
 * command. `flags` is by flag name without dashes. Throws `config_missing` for a flag without its value.
 */
export function splitFlags(argv: readonly string[]): {
  readonly flags: Readonly<Record<string, string>>;
  readonly words: readonly string[];
} {
  const known = SETTINGS.flatMap((setting) => ('flag' in setting ? [setting.flag] : []));
  const flags: Record<string, string> = {};
  const words: string[] = [];
  for (let index = 0; index < argv.length; index += 1) {
    const word = argv[index] ?? '';
    if (word === '--') {
      words.push(...argv.slice(index));
      break;
    }
    const flag = known.find((name) => word === name || word.startsWith(`${name}=`));
    if (flag === undefined) {
      words.push(word);
      continue;
    }
    const value = word === flag ? argv[(index += 1)] : word.slice(flag.length + 1);
    if (value === undefined || value === '')
      throw new ConfigError('config_missing', `${flag} needs a value.`, {
        hint: 'Run gpu-lease --help for the flags.',
      });
    flags[flag.slice(2)] = value;
  }
  return { flags, words };
}
