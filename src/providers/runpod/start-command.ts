import { Buffer } from 'node:buffer';
import { z } from 'zod';
import { InputError } from '../../core/errors.ts';
import { shellQuote } from '../../core/shell-quote.ts';
import { bootPreamble, setupPart } from '../boot-script.ts';
import { type TimerTerms as CommonTerms, deadManScript } from '../dead-man.ts';

/** A request of more than 100 KB is refused; the rest of it needs room too. */
const LIMIT_BYTES = 80_000;

export interface TimerTerms extends CommonTerms {
  readonly graphqlUrl: string;
  readonly restUrl: string;
  readonly onExpiry: 'destroy' | 'stop';
}
export interface StartTerms extends TimerTerms {
  readonly deadlineSeconds: number;
  readonly sshPublicKey: string;
  readonly setup?: string | undefined;
  /** What runs in the place of our SSH server: the start of a template that was replaced. */
  readonly then?: string | undefined;
}

/**
 * The timer of a RunPod container, with the key that RunPod gives each pod for itself. What that key may do is told
 * differently by different people, so each way is tried in turn: GraphQL, REST, and both programs that images carry.
 */
export function timerScript(terms: TimerTerms): string {
  const isEnd = terms.onExpiry === 'destroy';
  const mutation = isEnd ? 'podTerminate' : 'podStop';
  const fields = isEnd ? '' : '{id}';
  return deadManScript(terms, {
    needs: ['RUNPOD_POD_ID', 'RUNPOD_API_KEY'],
    exports: `case $RUNPOD_POD_ID in *[!A-Za-z0-9]*) exit 0 ;; esac
export GL_KEY="$RUNPOD_API_KEY"`,
    ask: `send() {
  export GL_VERB="$1" GL_URL="$2" GL_BODY="$3"
  if command -v curl > /dev/null; then
    printf 'header = "Authorization: Bearer %s"\\n' "$GL_KEY" |
      curl -fsS -m 60 -K - -X "$GL_VERB" -H 'Content-Type: application/json' -d "$GL_BODY" "$GL_URL" && return
  fi
  if command -v wget > /dev/null; then
    wget -q -T 60 -t 1 -O - --method="$GL_VERB" --body-data="$GL_BODY" --header="Authorization: Bearer $GL_KEY" --header='Content-Type: application/json' "$GL_URL" && return
  fi
  command -v python3 > /dev/null && python3 -I -c 'import os, urllib.request as u
e = os.environ
h = {"Authorization": "Bearer " + e["GL_KEY"], "Content-Type": "application/json"}
print(u.urlopen(u.Request(e["GL_URL"], e["GL_BODY"].encode(), h, method=e["GL_VERB"]), timeout=60).read().decode())'
}
ask() {
  said=$(send POST ${shellQuote(terms.graphqlUrl)} "{\\"query\\":\\"mutation{${mutation}(input:{podId:\\\\\\"$RUNPOD_POD_ID\\\\\\"})${fields}}\\"}")
  case $said in *'"errors"'*) ;; *'"data"'*) return ;; esac
  ${
    isEnd
      ? `send DELETE ${shellQuote(terms.restUrl)}"/pods/$RUNPOD_POD_ID" '' > /dev/null && return`
      : `send POST ${shellQuote(terms.restUrl)}"/pods/$RUNPOD_POD_ID/action" '{"action":"stop"}' > /dev/null && return`
  }
  command -v runpodctl > /dev/null || return
  runpodctl pod ${isEnd ? 'delete' : 'stop'} "$RUNPOD_POD_ID" || runpodctl ${isEnd ? 'remove' : 'stop'} pod "$RUNPOD_POD_ID"
}`,
  });
}

/** Images made for RunPod have their own /start.sh, which brings SSH; others get one. Never replaces one that is there. */
const START = `if [ ! -e /start.sh ]; then
cat > /start.sh <<'GL_START_END'
#!/bin/sh
if ! command -v sshd > /dev/null && [ ! -x /usr/sbin/sshd ]; then
  if command -v apt-get > /dev/null; then
    apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends openssh-server
  elif command -v apk > /dev/null; then apk add --no-cache openssh-server openssh-keygen openssh-sftp-server
  elif command -v microdnf > /dev/null; then microdnf install -y openssh-server
  elif command -v dnf > /dev/null; then dnf install -y openssh-server
  elif command -v yum > /dev/null; then yum install -y openssh-server
  elif command -v zypper > /dev/null; then zypper --non-interactive install openssh-server
  fi
fi
mkdir -p /run/sshd
ssh-keygen -A
sed -i 's/^root:!!*:/root:*:/' /etc/shadow
sshd=$(command -v sshd || echo /usr/sbin/sshd)
"$sshd" || echo "gpu-lease: this image has no SSH server, and none could be installed"
exec tail -f /dev/null
GL_START_END
chmod 755 /start.sh
fi
exec /start.sh
`;

/**
 * What the container runs: our key is let in, the timer and the caller's setup (whose output goes to
 * `~/.gpu-lease/bootstrap.log`) go on beside, then the SSH server. Runs at every start. In the JSON form, which replaces the
 * image's entrypoint too. Throws `too_large` with the number of bytes that are left for setup, and `invalid_input` for a NUL.
 */
export function startCommandOf(terms: StartTerms): string {
  const { setup = '', then } = terms;
  if (setup.includes('\0'))
    throw new InputError('invalid_input', 'setup holds a NUL character, which no script can.');
  const script = [
    bootPreamble({ ...terms, timer: timerScript(terms) }),
    setup.trim() === '' ? '' : `{\n${setupPart(setup)}} &\n`,
    then === undefined ? START : `exec sh -c ${shellQuote(then)}\n`,
  ].join('');
  const whole = JSON.stringify({ entrypoint: ['sh', '-c'], cmd: [script] });
  const bytes = Buffer.byteLength(whole);
  if (bytes <= LIMIT_BYTES) return whole;
  const left = LIMIT_BYTES - (bytes - Buffer.byteLength(setup));
  throw new InputError(
    'too_large',
    `setup has ${Buffer.byteLength(setup)} bytes, but only about ${Math.max(0, left)} fit into a request to RunPod.`,
    { hint: 'Keep setup short: bring long scripts over with sync_files and run them as a job.' },
  );
}

const jsonCommandSchema = z.object({
  entrypoint: z.array(z.string()).optional(),
  cmd: z.array(z.string()).optional(),
});

/**
 * How the start of a template goes on behind ours: `own` runs the SSH server that images of RunPod bring, `then` a command that a
 * shell can run, `untouchable` stands for a start that is only known to the image, so that replacing it would break it.
 */
export function startOfTemplate(template: {
  readonly image: string;
  readonly startCommand: string;
}):
  | { readonly kind: 'own' }
  | { readonly kind: 'then'; readonly command: string }
  | { readonly kind: 'untouchable' } {
  const command = template.startCommand.trim();
  if (command === '')
    return /^runpod\//i.test(template.image) ? { kind: 'own' } : { kind: 'untouchable' };
  if (command.startsWith('{')) {
    const words = wordsOf(command);
    return words === undefined
      ? { kind: 'untouchable' }
      : { kind: 'then', command: words.map(shellQuote).join(' ') };
  }
  return /^(?:\/(?:usr\/)?bin\/)?(?:ba)?sh\s|^\/start\.sh\b/.test(command)
    ? { kind: 'then', command }
    : { kind: 'untouchable' };
}

/** Of the JSON form; `undefined` where the image's own entrypoint is part of it. */
function wordsOf(command: string): readonly string[] | undefined {
  try {
    const { entrypoint = [], cmd = [] } = jsonCommandSchema.parse(JSON.parse(command));
    return entrypoint.length === 0 ? undefined : [...entrypoint, ...cmd];
  } catch {
    return undefined;
  }
}
