import { shellQuote } from '../../core/shell-quote.ts';

const header = (folder: string): string => `d=${shellQuote(folder)}\n`;

/**
 * Sets st: idle, busy, closed, lost, gone; and typed, ended, pid, code, fg (the group that has the terminal), group (that of the shell). \`lost\`: the machine started anew, or the shell
 * vanished without leaving an exit status; \`gone\`: no such folder.
 */
export const STATE = `typed= started= ended= terminal= pid= born= boot= code= now= l= st= fg= group=
if [ ! -d "$d" ]; then st=gone; else
{ read -r pid born boot < "$d/pid"; } 2>/dev/null
{ read -r typed < "$d/typed"; read -r started < "$d/started"; read -r ended < "$d/ended"; read -r code < "$d/exit"; read -r terminal < "$d/terminal"; } 2>/dev/null
n=0; while [ -z "$ended" ] && [ $n -lt 20 ]; do n=$((n+1)); { read -r ended < "$d/ended"; } 2>/dev/null; done
{ IFS= read -r now < /proc/sys/kernel/random/boot_id; } 2>/dev/null
if [ -e "$d/exit" ]; then st=closed
elif [ -z "$pid" ]; then st=lost
elif [ -r /proc/self/stat ]; then
  { IFS= read -r l < "/proc/$pid/stat"; } 2>/dev/null
  set -- \${l##*) }
  fg=$6 group=$3
  if [ -z "$l" ] || [ "$boot" != "$now" ] || [ "\${20}" != "$born" ] || [ "$1" = Z ]; then st=lost
  elif [ "$typed" != "$ended" ]; then st=busy
  elif [ "$terminal" = pty ] && [ "$3" != "$6" ]; then st=busy
  else st=idle; fi
elif ! kill -0 "$pid" 2>/dev/null; then st=lost
elif [ "$typed" != "$ended" ]; then st=busy
else st=idle; fi
fi
`;

/** What a look reads: from so many bytes before the wanted one, and no more of them than asked for and this. */
export const LOOK_BLOCK_BYTES = 4096;

export interface LookWanted {
  readonly offset: number;
  /** 0: no bytes; then the first line ends with where the shell is. */
  readonly maxBytes: number;
  /** Whether the size must be told: it costs a process. */
  readonly withSize: boolean;
}

/**
 * First line: \`<state> <running command or -> <exit code or -> <size or -> <key or -> <first kept byte> <cwd, to the end>\`;
 * then whole blocks, from the one on that holds \`offset\` or, where that is no longer kept, the first kept byte.
 */
export function lookScript(folder: string, { offset, maxBytes, withSize }: LookWanted): string {
  return `${header(folder)}${STATE}
run=-; [ "$typed" != "$ended" ] && [ -n "$typed" ] && run=$typed
# The exit status is written before the mark at the end of the transcript.
size=-${withSize ? '; [ -f "$d/out" ] && size=$(($(wc -c < "$d/out"))) || size=0' : ''}
key=-; { read -r key < "$d/key"; } 2>/dev/null
at=${maxBytes > 0 ? '' : '$(readlink "/proc/$pid/cwd" 2>/dev/null)'}
base=0; { read -r base < "$d/base"; } 2>/dev/null
from=${offset}; [ $from -lt $base ] && from=$base
echo $st $run \${code:--} $size \${key:--} $base "$at"
${
  maxBytes > 0
    ? `exec dd if="$d/out" bs=${LOOK_BLOCK_BYTES} skip=$((from / ${LOOK_BLOCK_BYTES})) count=${Math.ceil(maxBytes / LOOK_BLOCK_BYTES) + 1} 2>/dev/null`
    : 'exit 0'
}
`;
}

/** For each folder, in this order: the state of its session, and where its shell is. */
export function statesScript(folders: readonly string[]): string {
  return `for d in ${folders.map(shellQuote).join(' ')}; do
${STATE}at=
case $st in idle|busy) at=$(readlink "/proc/$pid/cwd" 2>/dev/null);; esac
echo $st "$at"
done
`;
}

/** New bytes as they come. Ends when nobody reads any more, or at once where the transcript is gone. */
export function followScript(folder: string, offset: number): string {
  return `${header(folder)}
case $(tail --version 2>/dev/null) in *coreutils*) exec tail -s 0.05 -c +${offset + 1} -f "$d/out";; esac
exec tail -c +${offset + 1} -f "$d/out"
`;
}

/** Prints \`busy\`, or the pid of the shell (0 when there is none) to end it by, its exit code or -, and its state. */
export function beforeCloseScript(folder: string, force: boolean): string {
  return `${header(folder)}${STATE}
[ "$st" = busy ] && ${force ? 'false' : 'true'} && { echo busy; exit 0; }
case $st in idle|busy) kill -HUP "$pid" 2>/dev/null; echo "$pid" "\${code:--}" $st;; *) echo 0 "\${code:--}" $st;; esac
`;
}

export function removeScript(folder: string): string {
  return `rm -rf ${shellQuote(folder)}\n`;
}
