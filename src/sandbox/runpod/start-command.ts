import { z } from 'zod';
import { shellQuote } from '../../core/shell-quote.ts';
import type { PodOrder } from './pod.ts';

const START = '/start.sh';
const wordsSchema = z.object({
  entrypoint: z.array(z.string()).optional(),
  cmd: z.array(z.string()).optional(),
});

/** The words of the JSON form, or the text as it is. */
function commandOf(args: string): string {
  if (!args.trimStart().startsWith('{')) return args;
  try {
    const { entrypoint = [], cmd = [] } = wordsSchema.parse(JSON.parse(args));
    return [...entrypoint, ...cmd].map(shellQuote).join(' ');
  } catch {
    return args;
  }
}

/** Images of this cloud, and those known to start an SSH server by themselves. */
const startsSshd = (image: string): boolean => /^(?:runpod|unsloth|madiator2011)\//i.test(image);

/**
 * Whether an SSH server runs in the container: its image starts one and nothing replaces that start, or the start
 * command does it. It also needs a key to let in.
 */
export function hasSshd({ image, args, env }: PodOrder): boolean {
  const command = commandOf(args);
  if (/sshd|dropbear|openssh/.test(command)) return true;
  if (!startsSshd(image)) return false;
  if (command.trim() !== '' && !command.includes(START)) return false;
  return keysIn(env).length > 0;
}

/** The keys that the start script of an image puts into authorized_keys. */
export const keysIn = (env: ReadonlyMap<string, string>): readonly string[] =>
  `${env.get('PUBLIC_KEY') ?? ''}\n${env.get('SSH_PUBLIC_KEY') ?? ''}`
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => /^(?:ssh|ecdsa|sk)-/.test(line));

/**
 * What the machine behind the pod runs at every start; `undefined`: nothing. The start script of the image is what the
 * machine does by itself, so in its place stands one that only stays.
 */
export function setupOf({ args }: PodOrder): string | undefined {
  const command = commandOf(args);
  if (command.trim() === '') return undefined;
  return [
    `mkdir -p "$HOME/.runpod"`,
    `printf '#!/bin/sh\\nexec sleep 2147483647\\n' >"$HOME/.runpod/start.sh"`,
    `chmod 700 "$HOME/.runpod/start.sh"`,
    command.replaceAll(START, '"$HOME"/.runpod/start.sh'),
  ].join('\n');
}
