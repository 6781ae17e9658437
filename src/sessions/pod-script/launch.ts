import { shellQuote } from '../../core/shell-quote.ts';
import { MARK, nonceOf } from '../framing.ts';
import { keepScript } from './keep.ts';
import { shellStartup, terminalScript } from './shell.ts';

/** A shell costs the machine some five processes. */
export const MAX_SESSIONS_PER_POD = 400;

/** A terminal made with nothing but python3's standard library, for machines without util-linux. */
const PYTHON_TERMINAL = `import os,pty,select,sys
folder=sys.argv[1]
out=os.open(folder+'/out',os.O_WRONLY|os.O_APPEND)
src=os.open(folder+'/in',os.O_RDWR)
pid,fd=pty.fork()
if pid==0:
    os.close(out);os.close(src)
    os.execvp('sh',['sh',folder+'/run'])
poller=select.poll()
poller.register(fd,select.POLLIN);poller.register(src,select.POLLIN)
alive=True
while alive:
    for ready,_ in poller.poll():
        try: data=os.read(ready,65536)
        except OSError: data=b''
        if ready==fd and not data: alive=False;break
        to=out if ready==fd else fd
        while data: data=data[os.write(to,data):]
code=os.waitpid(pid,0)[1]
sys.exit(os.WEXITSTATUS(code) if os.WIFEXITED(code) else 128+os.WTERMSIG(code))
`;
const PYTHON_DETACH = `import os,sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
os.execvp(sys.argv[1],sys.argv[1:])
`;

/**
 * Starts a shell that outlives us. Prints \`ok <pty|pipe> <bytes of transcript>\`, \`no_cwd\`, \`full\`, or \`failed\` and
 * what the shell said. The best way there is: util-linux \`script\`, python3's pty, a plain pipe; each detached in a way
 * that leaves SIGINT alone, since a shell started with & would ignore Ctrl-C for good.
 */
export function launchScript({
  sessionId,
  folder,
  cwd,
  key,
  keptBytes,
}: {
  readonly sessionId: string;
  readonly folder: string;
  readonly cwd: string;
  readonly key: string;
  readonly keptBytes: number;
}): string {
  const exitMark = `printf '\\033]${MARK};X;exit;${nonceOf(key, 'exit')};%s\\007' "$code" >> "$d/out"`;
  return `GPU_LEASE_UMASK=$(umask)
umask 077
d=${shellQuote(folder)}
[ -d ${shellQuote(cwd)} ] || { echo no_cwd; exit 0; }
n=0
for f in "\${d%/*}"/*/pid; do
  { read -r p rest < "$f"; } 2>/dev/null && [ ! -e "\${f%/pid}/exit" ] && kill -0 "$p" 2>/dev/null && n=$((n+1))
done
[ $n -ge ${MAX_SESSIONS_PER_POD} ] && { echo full; exit 0; }
# Not every shell says why it could not write; cat does.
unwritten() { echo failed; printf '%65536s' x | cat > "$d/room"; exit 0; }
put() { printf %s "$2" > "$d/$1" || unwritten; }
mkdir -p "$d/c" || { echo failed; exit 0; }
mkfifo "$d/in" || { echo failed; exit 0; }
: > "$d/out" || unwritten
# Room for the first words of the shell, which would else be waited for in vain.
printf '%65536s' x > "$d/room" && rm -f "$d/room" || unwritten
put key ${shellQuote(key)}
if command -v bash >/dev/null 2>&1; then
  put rc ${shellQuote(shellStartup(folder, 'bash'))}
  put run ${shellQuote(terminalScript({ folder, cwd, sessionId, home: 'bash' }))}
else
  put rc ${shellQuote(shellStartup(folder, 'sh'))}
  put run ${shellQuote(terminalScript({ folder, cwd, sessionId, home: 'sh' }))}
fi
put keep ${shellQuote(keepScript(keptBytes))}
terminal=pty
if script --version 2>/dev/null | grep -q util-linux; then
  how=${shellQuote(`script -qfe -c ${shellQuote(`exec sh ${shellQuote(`${folder}/run`)}`)} /dev/null <>"$d/in" >>"$d/out" 2>&1`)}
elif python3 -I -c 'import pty' 2>/dev/null; then
  put terminal.py ${shellQuote(PYTHON_TERMINAL)}
  how='python3 -I "$d/terminal.py" "$d" </dev/null >>"$d/out" 2>&1'
else
  terminal=pipe
  how='sh "$d/run" <>"$d/in" >>"$d/out" 2>&1'
fi
put terminal "$terminal"
{
  printf '%s\\n' ${shellQuote(`d=${shellQuote(folder)}`)} &&
  # Without a terminal an interrupt goes to the whole group. Caught here, it is still the default below.
  echo 'trap : INT QUIT' &&
  echo 'sh "$d/keep" $$ "$d" </dev/null >/dev/null 2>&1 &' &&
  printf '%s\\n' "$how" &&
  echo 'code=$?' &&
  echo 'printf %s "$code" > "$d/exit"' &&
  echo ${shellQuote(exitMark)}
} > "$d/outer" || unwritten
GPU_LEASE_SHELL=\${SHELL:-} SHELL=/bin/sh GPU_LEASE_SESSION=${sessionId}
export GPU_LEASE_SHELL SHELL GPU_LEASE_SESSION GPU_LEASE_UMASK
unset GPU_LEASE_EXEC
if setsid --version 2>/dev/null | grep -q util-linux; then
  setsid -f sh "$d/outer" </dev/null >/dev/null 2>&1
elif python3 -I -c 1 2>/dev/null; then
  python3 -I -c ${shellQuote(PYTHON_DETACH)} sh "$d/outer" </dev/null >/dev/null 2>&1
elif command -v bash >/dev/null 2>&1; then
  bash -c 'set -m; sh "$1" </dev/null >/dev/null 2>&1 & disown' sh "$d/outer" </dev/null >/dev/null 2>&1
else
  (set -m 2>/dev/null; sh "$d/outer" </dev/null >/dev/null 2>&1 &)
fi
n=0
while [ ! -s "$d/ended" ]; do
  [ -e "$d/exit" ] || [ $n -ge 1500 ] && { tail -c 2000 "$d/out" | { echo failed; cat; }; printf '%65536s' x | cat > "$d/room"; exit 0; }
  n=$((n+1)); sleep 0.02 2>/dev/null || sleep 1
done
s=$(wc -c < "$d/out")
echo "ok $terminal" $s
`;
}
