import { shellQuote } from '../../core/shell-quote.ts';

export interface TimerTerms {
  /** Where the pod finds Vast.ai: the origin, without a path. */
  readonly apiUrl: string;
  readonly onExpiry: 'destroy' | 'stop';
  /** When the pod was asked for, by our clock. */
  readonly madeSeconds: number;
  /** How often the file is read. */
  readonly everySeconds?: number;
  /** A pod that was started again after its end is left alone this long, so that a new end can be written. */
  readonly graceSeconds?: number;
}

/**
 * A POSIX program that ends its own container when the time in the file `deadline` beside it has come, with the key that
 * Vast.ai gives each container for itself, by curl, wget or python3. It does nothing while that file says nothing
 * sensible. A pod whose clock is hours away from ours at its first boot is read with that difference.
 */
export function timerScript(terms: TimerTerms): string {
  const { apiUrl, onExpiry, madeSeconds, everySeconds = 30, graceSeconds = 600 } = terms;
  const [verb, body] = onExpiry === 'destroy' ? ['DELETE', '{}'] : ['PUT', '{"state":"stopped"}'];
  return `cd "\${0%/*}" || exit 0
echo $$ > timer.pid
export GL_URL=${shellQuote(apiUrl)}"/api/v0/instances/$CONTAINER_ID/"
export GL_VERB=${shellQuote(verb)} GL_BODY=${shellQuote(body)}
is_time() { case $1 in *[!0-9]*) return 1 ;; ??????????|???????????) return 0 ;; *) return 1 ;; esac; }
ask() {
  if command -v curl > /dev/null; then
    printf 'header = "Authorization: Bearer %s"\\n' "$CONTAINER_API_KEY" |
      curl -fsS -m 60 -K - -X "$GL_VERB" -H 'Content-Type: application/json' -d "$GL_BODY" "$GL_URL" && return
  fi
  if command -v wget > /dev/null; then
    wget -q -T 60 -t 1 -O - --method="$GL_VERB" --body-data="$GL_BODY" --header="Authorization: Bearer $CONTAINER_API_KEY" --header='Content-Type: application/json' "$GL_URL" && return
  fi
  command -v python3 > /dev/null && python3 -c 'import os, urllib.request as u
e = os.environ
h = {"Authorization": "Bearer " + e["CONTAINER_API_KEY"], "Content-Type": "application/json"}
u.urlopen(u.Request(e["GL_URL"], e["GL_BODY"].encode(), h, method=e["GL_VERB"]), timeout=60)'
}
boot=$(date +%s)
is_time "$boot" || exit 0
first=$(cat started)
skew=0
if is_time "$first"; then skew=$((first - ${madeSeconds})); fi
if [ "$skew" -ge -600 ] && [ "$skew" -le 7200 ]; then skew=0; fi
boot=$((boot - skew))
while [ -e timer ] && sleep ${everySeconds}; do
  end=
  read -r end < deadline
  is_time "$end" && [ "$end" -ge ${madeSeconds} ] && [ "$end" -ge $((boot - 86400)) ] || continue
  now=$(date +%s)
  is_time "$now" && now=$((now - skew)) && [ "$now" -ge "$end" ] || continue
  [ "$end" -ge "$boot" ] || [ "$now" -ge $((boot + ${graceSeconds})) ] || continue
  [ -n "$CONTAINER_ID" ] && [ -n "$CONTAINER_API_KEY" ] && ask
done
`;
}
