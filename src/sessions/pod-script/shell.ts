import { shellQuote } from '../../core/shell-quote.ts';
import { MARK } from '../framing.ts';

/**
 * Start-up file of the shell. The start-up file of the person is read first and may print or set what it likes: the end of
 * a command is told by our own functions, again from the prompt where a command was cut short (Ctrl-C, `return`, a syntax
 * error), and never by what a prompt looks like. What was typed to a command and never read by it is taken out of the
 * terminal before the shell could run it: the end of a command is announced (`ending`) before it looks for a writer
 * (`feeding`), and a writer announces itself before it looks for an end, so that one of them always sees the other. The
 * last exit status passes through untouched. The names of commands are all of one length and written over one another: a
 * file that is emptied first goes to the disk each time, which costs milliseconds, and may be seen empty.
 */
export function shellStartup(folder: string, kind: 'bash' | 'sh'): string {
  const bash = kind === 'bash';
  return `${bash ? '[ -f ~/.bashrc ] && . ~/.bashrc\nset +o history\nunset HISTFILE PROMPT_COMMAND\nshopt -u checkjobs 2>/dev/null' : ''}
__gl_d=${shellQuote(folder)} __gl_c= __gl_n= __gl_s=0
__gl_b() {
  __gl_c=$1 __gl_n=$2
  printf %s "$1" 1<>"$__gl_d/started"
  # At once: every piece wakes whoever records and follows the transcript.
  printf '\\033]${MARK};S;%s;%s\\007%s\\n\\033]${MARK};T;%s;%s\\007' "$1" "$2" "$3" "$1" "$2"
  return "$__gl_s"
}
__gl_u() {
  # All in one subshell: the shell must not take the passing state of the terminal for the one to go back to.
  __gl_t=$(
    t=$(command stty -g 2>/dev/null) || exit 0
    command stty -icanon -echo min 0 time 0 2>/dev/null
    n=0
    while :; do
      w=; [ -e "$__gl_d/feeding" ] && w=1
      command dd bs=4096 count=64 2>/dev/null
      [ -n "$w" ] && [ "$n" -lt 150 ] || break
      n=$((n+1)); command sleep 0.02 2>/dev/null || command sleep 1
    done | command wc -c
    command stty "$t" 2>/dev/null
  )
  command rm -f "$__gl_d/fed" "$__gl_d/feeding"
  [ "$((__gl_t))" = 0 ] || printf '\\n[gpu-lease: the program ended before it read %s bytes that were typed; they were dropped]\\n' "$((__gl_t))"
}
__gl_e() {
  __gl_s=$1
  [ -n "\${__gl_c:-}" ] || return "$__gl_s"
  printf %s "$__gl_c" 1<>"$__gl_d/ending"
  if [ -e "$__gl_d/fed" ] || [ -e "$__gl_d/feeding" ]; then __gl_u; fi
  printf %s "$__gl_c" 1<>"$__gl_d/ended"
  printf '\\033]${MARK};E;%s;%s;%s\\007' "$__gl_c" "$__gl_n" "$__gl_s"
  __gl_c=
  ${bash ? 'PROMPT_COMMAND=__gl_p' : 'PS1=$__gl_ps'}
  return "$__gl_s"
}
__gl_p() { __gl_e "$?"; }
${bash ? "PROMPT_COMMAND=__gl_p PS1= PS2='> '" : "__gl_ps='$(__gl_e $?)' PS2='> '\nPS1=$__gl_ps"}
unset ENV
printf none >| "$__gl_d/typed"
printf none >| "$__gl_d/started"
printf none >| "$__gl_d/ended"
`;
}

/**
 * Prints what the typed line sources: the command of the person in a file of its own, so that nothing it reads is ours. Needs
 * $id of the command, $nonce, and as words for a shell $shown and the place $qw of the command.
 */
export const WRAPPER = `printf '__gl_b %s %s %s\\n. %s\\n__gl_e "$?"\\n' "$id" "$nonce" "$shown" "$qw.sh"`;

/** Runs inside the terminal: the surroundings of the shell, then the shell itself under the same pid. */
export function terminalScript({
  folder,
  cwd,
  sessionId,
  home,
}: {
  readonly folder: string;
  readonly cwd: string;
  readonly sessionId: string;
  readonly home: 'bash' | 'sh';
}): string {
  const start =
    home === 'bash'
      ? `exec bash --noediting --rcfile ${shellQuote(`${folder}/rc`)} -i`
      : `ENV=${shellQuote(`${folder}/rc`)} exec sh -i`;
  return `cd ${shellQuote(cwd)} || cd "$HOME" || cd /
unset GPU_LEASE_EXEC SSH_TTY OLDPWD
SHELL=$GPU_LEASE_SHELL; [ -n "$SHELL" ] && export SHELL || unset SHELL
unset GPU_LEASE_SHELL
export GPU_LEASE_SESSION=${sessionId} TERM=dumb PAGER=cat GIT_PAGER=cat MANPAGER=cat SYSTEMD_PAGER=cat
stty rows 40 cols 200 -echo 2>/dev/null
l=; { IFS= read -r l < /proc/$$/stat; } 2>/dev/null
set -- \${l##*) }
born=; [ -n "$l" ] && { shift 19; born=$1; }
boot=; { IFS= read -r boot < /proc/sys/kernel/random/boot_id; } 2>/dev/null
echo "$$ \${born:--} \${boot:--}" > ${shellQuote(`${folder}/pid`)}
set --
# What the person makes is as readable as what they make in a shell of their own.
umask "\$GPU_LEASE_UMASK"; unset GPU_LEASE_UMASK
${start}
`;
}
