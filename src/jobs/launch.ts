import { Buffer } from 'node:buffer';
import type { JobId } from '../core/ids.ts';
import { shellQuote } from '../core/shell-quote.ts';
import { jobShell } from './pod-shell.ts';
import { runScript, type SupervisorPlan, supervisorScript } from './supervisor.ts';

export interface Launch {
  readonly script: string;
  /** Everything long or secret: an argument list is short and everybody on the pod can read it. */
  readonly stdin: string;
}

/**
 * Puts the job's files into place in one step and starts its supervisor, once: the folder `launch` is the right to do
 * so, and whoever wants to know that a lost start will never happen takes it first.
 */
export function launchOf(
  plan: SupervisorPlan,
  files: {
    readonly command: string;
    readonly smoke: string;
    readonly env: Readonly<Record<string, string>>;
    readonly secrets: Readonly<Record<string, string>>;
  },
): Launch {
  const sent: Readonly<Record<string, string>> = {
    command: files.command,
    smoke: files.smoke,
    env: exportLines(files.env),
    'supervisor.sh': supervisorScript(plan),
    'run.sh': runScript(plan),
  };
  const lines = [...Object.values(sent), exportLines(files.secrets)].map((text) =>
    Buffer.from(`${text}\n`).toString('base64'),
  );
  return {
    script: `${jobShell(plan.jobId)}\nGL_FILES=${shellQuote(Object.keys(sent).join(' '))}\n${LAUNCH}`,
    stdin: `${[...lines, 'end'].join('\n')}\n`,
  };
}

/** Where the home is, and whether `cwd` (absolute) is a folder: its path as the shell says it. */
export function placeScript(jobId: JobId, cwd: string): string {
  return `${jobShell(jobId)}
printf 'folder %s\\0' "$GL_D"
cd -- ${shellQuote(cwd)} 2>/dev/null && printf 'cwd %s\\0' "$(pwd; printf x)"
exit 0`;
}

function exportLines(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `export ${name}=${shellQuote(value)}`)
    .join('\n');
}

const LAUNCH = `
problem() { printf 'problem %s\\n' "$1"; rm -rf -- "$GL_STAGE"; exit 0; }
GL_UMASK=$(umask)
umask 077
GL_STAGE="\${GL_D%/*}/.$GL_ID.$$"
mkdir -p "\${GL_D%/*}" && mkdir "$GL_STAGE" || problem stage
for name in $GL_FILES; do
  IFS= read -r line || problem cut
  printf '%s' "$line" | base64 -d >"$GL_STAGE/$name" || problem write
done
IFS= read -r secrets || problem cut
read -r line && [ "$line" = end ] || problem cut
[ ! -e "$GL_D" ] && mv "$GL_STAGE" "$GL_D" || problem taken
mkdir "$GL_D/launch" 2>/dev/null || problem taken
export GPU_LEASE_UMASK="$GL_UMASK"
unset line
set -- sh "$GL_D/supervisor.sh"
# The secrets go from hand to hand: they are in no file, no argument and no environment of ours.
printf '%s\\n' "$secrets" | {
  unset secrets
  # The inner one finds itself leading a group, so it forks: unlike "&", that leaves SIGINT alone.
  if command -v setsid >/dev/null 2>&1; then
    setsid sh -c 'exec setsid "$@"' start "$@"
  elif command -v perl >/dev/null 2>&1; then
    perl -MPOSIX -e 'fork and exit; POSIX::setsid(); exec { $ARGV[0] } @ARGV' "$@"
  elif command -v python3 >/dev/null 2>&1; then
    python3 -I -c 'import os,sys
if os.fork(): os._exit(0)
os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
  elif command -v bash >/dev/null 2>&1; then
    bash -c 'set -m; "$@" <&3 3<&- & disown' start "$@" 3<&0
  else
    # This shell makes its background processes ignore SIGINT and read nothing; there is no other way here.
    { ("$@" <&3 3<&- &); } 3<&0
  fi
} >>"$GL_D/supervisor" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
printf 'launched\\n'
`;
