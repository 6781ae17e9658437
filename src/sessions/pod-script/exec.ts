import { shellQuote } from '../../core/shell-quote.ts';

/** Up to here a script is taken; what is longer belongs into a file or into stdin. */
export const MAX_SCRIPT_BYTES = 120_000;
/** RFC 4253 promises packets of 35,000 bytes and not one more; the whole command line is one packet. */
const MAX_COMMAND_BYTES = 30_000;
export const EXEC_VARIABLE = 'GPU_LEASE_EXEC';
/** A tenth of the time of what competes with it; all of the time that nobody else wants. */
const BULK_NICE = 10;

export interface ExecCommand {
  readonly command: string;
  /** To be written to stdin before anything else. */
  readonly stdinPrefix: Buffer | undefined;
}

/*
 * The part of sshd that serves our connection is told once, in the background; what it starts later inherits that. A kernel
 * that shares time out by login sessions looks at those alone: each is told of its own. Where any of this is missing or not
 * allowed, nothing is lost but the courtesy.
 */
const GIVE_WAY = `if [ -r "/proc/$PPID/stat" ]; then
l=; { IFS= read -r l < "/proc/$$/stat"; } 2>/dev/null
set -- \${l##*) }
[ "\${4:-}" = $$ ] && { echo ${BULK_NICE} > "/proc/$$/autogroup"; } 2>/dev/null
l=; { IFS= read -r l < "/proc/$PPID/stat"; } 2>/dev/null
case $l in *'(sshd'*|*'(dropbear'*)
set -- \${l##*) }
if [ "\${17:-19}" -lt ${BULK_NICE} ]; then
renice -n ${BULK_NICE} -p $PPID $$ >/dev/null 2>&1 </dev/null &
[ "$4" = $PPID ] && { echo ${BULK_NICE} > "/proc/$PPID/autogroup"; } 2>/dev/null
fi;;
esac
set --; unset l; fi
`;

/**
 * The command line for an exec channel: `script` under `sh` in the home, whatever the login shell is. Every process of it
 * carries `token` in its environment, `sh` itself in its command line: that spares one more program before it. The first
 * line of ours on stdout is `<token> <pid>`, on stderr `<token>`; all before these is noise of the login shell. A script
 * too long for the command line is read from the start of stdin. `givesWay`: it and its connection, whose commands are then
 * all of this kind, step back behind everything else on the machine.
 */
export function execCommand(script: string, token: string, givesWay = false): ExecCommand {
  const hello = `export ${EXEC_VARIABLE}=${token}; echo "${token} $$"; echo ${token} >&2; cd "$HOME" || cd /\n`;
  const start = givesWay ? hello + GIVE_WAY : hello;
  const around = (body: string): string => `exec sh -c ${loginShellQuote(body)}`;
  const command = around(start + script);
  if (Buffer.byteLength(command) <= MAX_COMMAND_BYTES) return { command, stdinPrefix: undefined };
  const stdinPrefix = Buffer.from(script);
  // Byte by byte, since whatever reads ahead would eat the input of the script.
  return {
    command: around(
      `${start}s=$(dd bs=1 count=${stdinPrefix.length} 2>/dev/null)\neval "unset s\n$s"\n`,
    ),
    stdinPrefix,
  };
}

/**
 * What a channel that is kept ready runs until it is told its script. Its end of input ends it. It says its token again
 * before the script begins: where that never came, nothing ran.
 */
export const READY_SCRIPT = `nl='
'
IFS= read -r l || exit 0
echo "$${EXEC_VARIABLE}"
eval "s=$l"
eval "unset s l nl$nl$s"
`;
/** A shell reads the line byte by byte: what is longer starts faster on a channel of its own. */
const MAX_READY_BYTES = 12_000;

/** The line that a ready channel is told, or undefined where the script is too long for it. */
export function readyLine(script: string): string | undefined {
  if (script.length > MAX_READY_BYTES) return undefined;
  // A line break can only stand inside single quotes: bare words hold none.
  const line = `${shellQuote(script).replaceAll('\n', `'"$nl"'`)}\n`;
  return Buffer.byteLength(line) > MAX_READY_BYTES ? undefined : line;
}

/** A word that reads the same in sh, bash, zsh, fish and csh: backslash and `!` are special even in some single quotes. */
export function loginShellQuote(text: string): string {
  return text
    .split(/(['\\!]+)/)
    .map((part, index) =>
      index % 2 === 1 ? part.replace(/./g, '\\$&') : part === '' ? '' : `'${part}'`,
    )
    .join('');
}

/**
 * Ends every process of an exec and looks again. Found by the token in their environment or, of an exec, in their command
 * line, by the session and group of the leader, and by descent from those. TERM first, KILL after a moment. The last line is `gone`, or `left <pids>`.
 */
export function killScript(variable: string, token: string, leader: number): string {
  const lines = variable === EXEC_VARIABLE ? "'/proc/[0-9]*/cmdline'" : '';
  // In two pieces, so that the script does not find itself.
  return `v=${shellQuote(variable)}; v=$v${shellQuote(`=${token}`)} p=${leader} lines=${lines}
${FIND_PROCESSES}
signal() { for q in $2; do kill -"$1" "$q" 2>/dev/null; done; }
round=0
while :; do
  found=$(find_processes)
  [ -z "$found" ] && { echo gone; exit 0; }
  case $round in
    0) signal TERM "$found"; signal CONT "$found";;
    [1-4]) ;;
    *) signal KILL "$found";;
  esac
  [ $round -ge 30 ] && { echo left $found; exit 0; }
  round=$((round+1))
  sleep 0.1 2>/dev/null || sleep 1
done
`;
}

/**
 * Needs $v (VARIABLE=value), $p (pid of a leader, or 0) and $lines (more files of /proc to look for $v in). Prints the
 * pids, without the asking process itself. A leader that is alive without the token is a stranger under a used-again pid;
 * a dead leader's session can only be ours, since its number stays taken while the session lives.
 */
export const FIND_PROCESSES = `find_processes() {
  if [ -r /proc/self/stat ]; then
    set_of=" "
    for f in $(grep -lsaF "$v" /proc/[0-9]*/environ $lines 2>/dev/null); do
      q=\${f#/proc/}; set_of="$set_of\${q%%/*} "
    done
    leader=$p
    if [ "$p" != 0 ] && [ -d "/proc/$p" ]; then case "$set_of" in *" $p "*) ;; *) leader=0;; esac; fi
    table=
    for f in /proc/[0-9]*/stat; do
      l=; { IFS= read -r l < "$f"; } 2>/dev/null
      [ -n "$l" ] || continue
      n=\${l%% *}; r=\${l##*) }
      set -- $r
      [ "$1" = Z ] || [ "$1" = X ] || table="$table$n $2 $3 $4
"
    done
  else
    set_of=" $(ps -A -E -o pid= -o command= 2>/dev/null | grep -F "$v" | grep -v 'grep -F' | sed 's/^ *//; s/ .*//' | tr '\\n' ' ') "
    leader=$p
    table=$(ps -A -o pid= -o ppid= -o pgid= -o stat= | sed 's/^ *//' | while read -r n a g s; do case $s in Z*) ;; *) echo "$n $a $g $g";; esac; done)
  fi
  grew=1
  while [ $grew = 1 ]; do
    grew=0
    while read -r n a g s; do
      [ -n "$n" ] || continue
      case "$set_of" in *" $n "*) continue;; esac
      if [ "$leader" != 0 ] && { [ "$g" = "$leader" ] || [ "$s" = "$leader" ]; }; then set_of="$set_of$n "; grew=1; continue; fi
      case "$set_of" in *" $a "*) set_of="$set_of$n "; grew=1;; esac
    done <<T
$table
T
  done
  while read -r n a g s; do
    [ "$n" = $$ ] || [ "$a" = $$ ] && continue
    case "$set_of" in *" $n "*) [ -n "$n" ] && printf '%s ' "$n";; esac
  done <<T
$table
T
}`;
