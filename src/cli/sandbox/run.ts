import type { Clock } from '../../core/call.ts';
import type { BookedInstance, Sandbox } from '../../core/sandbox.ts';
import type { Output } from '../output.ts';
import { changes, instanceLine, picture } from './view.ts';

const LOOK_EVERY_SECONDS = 0.5;
const DRAW_EVERY_LOOKS = 2;

export interface Show {
  readonly sandbox: Sandbox;
  readonly out: Output;
  readonly clock: Clock;
  /** Ends the show. */
  readonly signal: AbortSignal;
  /** A picture that is drawn again and again; else a line for each change. */
  readonly live: boolean;
}

/** Shows what happens in the sandbox until `signal` aborts. */
export async function show({ sandbox, out, clock, signal, live }: Show): Promise<void> {
  let before: readonly BookedInstance[] = [];
  let height = 0;
  for (let looks = 0; !signal.aborted; looks += 1) {
    const books = sandbox.books();
    const now = books.clouds.flatMap(({ instances }) => instances);
    if (live) {
      if (looks % DRAW_EVERY_LOOKS === 0) {
        const lines = picture(books, sandbox.requests(), out);
        // Up to where the last picture began, everything below it away, and no line longer than the terminal.
        const up = height === 0 ? '' : `\x1b[${height}A\x1b[J`;
        out.prompt(`${up}\x1b[?7l${lines.join('\n')}\n\x1b[?7h`);
        height = lines.length;
      }
    } else
      for (const one of changes(before, now)) {
        const was = before.find(({ id }) => id === one.id)?.state;
        out.value({ event: 'instance', ...one, ...(was === undefined ? {} : { was }) });
        out.line(instanceLine(one, was));
      }
    before = now;
    await clock.sleep(LOOK_EVERY_SECONDS, { signal }).catch(() => undefined);
  }
}
