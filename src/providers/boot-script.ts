import { shellQuote } from '../core/shell-quote.ts';

/** Relative to the home of the login. */
const FOLDER = '.gpu-lease';
export const DEADLINE_FILE = `${FOLDER}/deadline`;

export interface BootTerms {
  readonly deadlineSeconds: number;
  readonly sshPublicKey: string;
  /** The program that ends the pod. */
  readonly timer: string;
  /** Further lines, in the folder of the login and before anything else. */
  readonly first?: string;
}

/** The lines at the head of a boot script: `$gl` is the home, our key is let in, the timer runs. Runs at every start. */
export function bootPreamble({ deadlineSeconds, sshPublicKey, timer, first }: BootTerms): string {
  const key = shellQuote(sshPublicKey.trim());
  const end = endMarker(timer);
  return `gl="\${HOME:-/root}"
(
umask 077
${first === undefined ? '' : `${first}\n`}mkdir -p "$gl/.ssh" "$gl/${FOLDER}" && cd "$gl/${FOLDER}" || exit 0
grep -qxF ${key} ../.ssh/authorized_keys || printf '\\n%s\\n' ${key} >> ../.ssh/authorized_keys
[ -e started ] || date +%s > started
[ -e deadline ] || { echo ${deadlineSeconds} > deadline.new && mv deadline.new deadline; }
cat > timer <<'${end}'
${timer}${end}
old=$(cat timer.pid)
if [ -n "$old" ] && tr '\\0' ' ' < "/proc/$old/cmdline" | grep -q gpu-lease-timer; then exit 0; fi
if command -v setsid; then setsid sh "$PWD/timer" gpu-lease-timer & else nohup sh "$PWD/timer" gpu-lease-timer & fi
) < /dev/null > /dev/null 2>&1
`;
}

/**
 * Runs the caller's setup; its output goes to `~/.gpu-lease/bootstrap.log`. Kept in a file, so that its own first line decides
 * what reads it, and its end is not ours.
 */
export function setupPart(setup: string): string {
  const end = endMarker(setup);
  return `(
cd "$gl" && umask 077
cat > ${FOLDER}/setup <<'${end}'
${setup}
${end}
chmod 700 ${FOLDER}/setup
case $(head -c 2 ${FOLDER}/setup) in
'#!') set -- "$gl/${FOLDER}/setup" ;;
*) if command -v bash > /dev/null; then set -- bash "$gl/${FOLDER}/setup"; else set -- sh "$gl/${FOLDER}/setup"; fi ;;
esac
: >> ${FOLDER}/bootstrap.log
umask 022
if [ /proc/self/fd/1 -ef ${FOLDER}/bootstrap.log ]; then "$@" < /dev/null 2>&1; exit; fi
"$@" < /dev/null >> ${FOLDER}/bootstrap.log 2>&1
tail -c 20000 ${FOLDER}/bootstrap.log
)
`;
}

/** A line that `text` does not hold. */
function endMarker(text: string): string {
  let marker = 'GPU_LEASE_END';
  while (text.includes(marker)) marker += '_';
  return marker;
}
