import type { Json } from './answers.ts';
import { textOf } from './foreign.ts';

/** The docker flags of a template ("-e A=1 -p 8080:8080") as the entries of an `env` object. */
export function templateEnv(fields: Json): ReadonlyMap<string, string> {
  const env = new Map<string, string>();
  const words = (textOf(fields['env']) ?? '').match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
  for (let index = 0; index + 1 < words.length; index += 1) {
    const value = words[index + 1] ?? '';
    switch (words[index] ?? '') {
      case '-e': {
        const cut = value.indexOf('=');
        if (cut > 0)
          env.set(value.slice(0, cut), value.slice(cut + 1).replace(/^(["'])(.*)\1$/, '$2'));
        break;
      }
      case '-p':
        if (/^[\d:]+(?:\/(?:tcp|udp))?$/.test(value)) env.set(`-p ${value}`, '1');
        break;
      case '-h':
        env.set('-h', value);
        break;
      case '-v':
      case '-n':
        env.set(`${words[index] ?? ''} ${value}`, '1');
        break;
      default:
        continue;
    }
    index += 1;
  }
  return env;
}

/** `runtype` and its flags, in the words that a create takes. */
export function templateRuntype(fields: Json): string {
  const runtype = textOf(fields['runtype']) ?? 'args';
  if (runtype === 'ssh') return fields['ssh_direct'] === true ? 'ssh_direct' : 'ssh_proxy';
  if (runtype === 'jupyter')
    return fields['jup_direct'] === true ? 'jupyter_direct ssh_direct' : 'jupyter_proxy';
  return runtype;
}
