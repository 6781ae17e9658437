import { existsSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';
import {
  type EmbeddedPodConfig,
  INHERITED_BY_PODS,
  POD_FILES,
  POD_TOKEN_VARIABLE,
} from '../core/embedded-pod.ts';

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/;

export type Environment = Readonly<Record<string, string>>;

/** The variables every process of the pod starts with. */
export function podEnvironment(
  folder: string,
  config: EmbeddedPodConfig,
  outer: Readonly<Record<string, string | undefined>>,
): Environment {
  const inherited = Object.entries(outer).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && INHERITED_BY_PODS.test(entry[0]),
  );
  const user = userInfo().username;
  const around = outer[POD_TOKEN_VARIABLE];
  return {
    PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
    LANG: 'C.UTF-8',
    ...Object.fromEntries(inherited),
    ...config.env,
    HOME: path.join(folder, POD_FILES.home),
    TMPDIR: path.join(folder, POD_FILES.temp),
    USER: user,
    LOGNAME: user,
    SHELL: loginShell(),
    [POD_TOKEN_VARIABLE]: around === undefined ? config.podToken : `${around}:${config.podToken}`,
  };
}

/** Adds what an SSH client asked for, except what makes the pod the pod. */
export function withClientVariables(
  base: Environment,
  asked: readonly (readonly [string, string])[],
): Environment {
  const fixed = new Set([POD_TOKEN_VARIABLE, 'HOME', 'TMPDIR', 'USER', 'LOGNAME', 'SHELL']);
  const taken = asked.filter(([name]) => NAME.test(name) && !fixed.has(name));
  return { ...base, ...Object.fromEntries(taken) };
}

export function loginShell(): string {
  return existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh';
}
