export interface TimerTerms {
  /** When the pod was asked for, by our clock. */
  readonly madeSeconds: number;
  /** How often the file is read. */
  readonly everySeconds?: number | undefined;
  /** A pod that was started again after its end is left alone this long, so that a new end can be written. */
  readonly graceSeconds?: number | undefined;
}

/** How a pod asks its own cloud to end it. Every word of it is quoted by whoever makes it. */
export interface EndRequest {
  /** Lines that run once: exports. */
  readonly exports: string;
  /** Lines that define `ask`: a function that asks once, by whatever the image has. */
  readonly ask: string;
  /** The variables without which asking makes no sense. */
  readonly needs: readonly string[];
}

/**
 * A POSIX program that ends its own container when the time in the file `deadline` beside it has come, with the key that
 * the cloud gives each container for itself. It does nothing while that file says nothing sensible. A pod whose clock is
 * hours away from ours at its first boot is read with that difference.
 */
export function deadManScript(terms: TimerTerms, { exports, ask, needs }: EndRequest): string {
  const { madeSeconds, everySeconds = 30, graceSeconds = 600 } = terms;
  const isArmed = needs.map((name) => `[ -n "$${name}" ]`).join(' && ');
  return `cd "\${0%/*}" || exit 0
echo $$ > timer.pid
${exports}
is_time() { case $1 in *[!0-9]*) return 1 ;; ??????????|???????????) return 0 ;; *) return 1 ;; esac; }
${ask}
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
  ${isArmed} && ask
done
`;
}
