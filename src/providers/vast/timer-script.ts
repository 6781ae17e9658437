import { shellQuote } from '../../core/shell-quote.ts';
import { type TimerTerms as Common, deadManScript } from '../dead-man.ts';

export interface TimerTerms extends Common {
  /** Where the pod finds Vast.ai: the origin, without a path. */
  readonly apiUrl: string;
  readonly onExpiry: 'destroy' | 'stop';
}

/** The timer of a Vast.ai container, which asks by curl, wget or python3. */
export function timerScript(terms: TimerTerms): string {
  const { apiUrl, onExpiry } = terms;
  const [verb, body] = onExpiry === 'destroy' ? ['DELETE', '{}'] : ['PUT', '{"state":"stopped"}'];
  return deadManScript(terms, {
    needs: ['CONTAINER_ID', 'CONTAINER_API_KEY'],
    exports: `export GL_URL=${shellQuote(apiUrl)}"/api/v0/instances/$CONTAINER_ID/"
export GL_VERB=${shellQuote(verb)} GL_BODY=${shellQuote(body)}`,
    ask: `ask() {
  if command -v curl > /dev/null; then
    printf 'header = "Authorization: Bearer %s"\\n' "$CONTAINER_API_KEY" |
      curl -fsS -m 60 -K - -X "$GL_VERB" -H 'Content-Type: application/json' -d "$GL_BODY" "$GL_URL" && return
  fi
  if command -v wget > /dev/null; then
    wget -q -T 60 -t 1 -O - --method="$GL_VERB" --body-data="$GL_BODY" --header="Authorization: Bearer $CONTAINER_API_KEY" --header='Content-Type: application/json' "$GL_URL" && return
  fi
  command -v python3 > /dev/null && python3 -I -c 'import os, urllib.request as u
e = os.environ
h = {"Authorization": "Bearer " + e["CONTAINER_API_KEY"], "Content-Type": "application/json"}
u.urlopen(u.Request(e["GL_URL"], e["GL_BODY"].encode(), h, method=e["GL_VERB"]), timeout=60)'
}`,
  });
}
