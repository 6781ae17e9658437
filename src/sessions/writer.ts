import { after, type CallOptions } from '../core/call.ts';
import type { PodId } from '../core/ids.ts';
import { IDLE_SECONDS, whenIdle } from './idle.ts';
import { WRITER_SCRIPT } from './pod-script/deliver.ts';
import type { Run } from './run.ts';
import type { Runs } from './runs.ts';
import { untilAborted } from './wait.ts';

/** Longer requests cost more in the byte-wise reading of a shell than a channel of their own. */
const MAX_REQUEST_BYTES = 6000;
/** A writer that is silent for longer is given up: more than one waits for another writer on the pod. */
const ANSWER_SECONDS = 12;

/** A shell on each pod that waits for requests, so that a write pays neither for a channel nor for starting a shell. */
export interface Writers {
  /**
   * What `call` printed. Undefined: the caller must go another way. `silent`: it must ask again with the same id, since it
   * may have been carried out all the same.
   */
  ask(
    podId: PodId,
    id: string,
    call: string,
    options: CallOptions,
  ): Promise<{ readonly answer: string } | 'silent' | undefined>;
  stopAll(): void;
}

interface Writer {
  readonly run: Run;
  readonly ask: (id: string, call: string) => Promise<string | undefined>;
  busy: boolean;
  uses: number;
}

export function createWriters({
  runs,
  idleSeconds = IDLE_SECONDS,
}: {
  readonly runs: Runs;
  readonly idleSeconds?: number | undefined;
}): Writers {
  const ready = new Map<PodId, Writer>();
  const starting = new Set<PodId>();

  async function start(podId: PodId): Promise<void> {
    const { signal } = new AbortController();
    const run = await runs.start(podId, WRITER_SCRIPT, { signal, holder: 'sessions' });
    const writer = writerOn(run);
    void run.ended.then(() => {
      if (ready.get(podId) === writer) ready.delete(podId);
    });
    // Its first line shows that it reads requests.
    if ((await writer.ask('', '')) === undefined) return;
    ready.set(podId, writer);
    whenIdle(
      idleSeconds,
      () => (run.channel.destroyed ? undefined : writer.busy ? -1 : writer.uses),
      () => {
        if (ready.get(podId) === writer) ready.delete(podId);
        run.channel.end();
      },
    );
  }

  return {
    async ask(podId, id, call, { signal }) {
      if (Buffer.byteLength(call) > MAX_REQUEST_BYTES) return undefined;
      const writer = ready.get(podId);
      if (writer === undefined) {
        // Made for the writes to come; this one does not wait for it.
        if (!starting.has(podId)) {
          starting.add(podId);
          start(podId)
            .catch(() => undefined)
            .finally(() => starting.delete(podId));
        }
        return undefined;
      }
      // What is over takes no request: nothing was sent.
      if (writer.busy || !writer.run.isUp()) return undefined;
      const answer = await untilAborted(writer.ask(id, call), signal);
      return answer === undefined ? 'silent' : { answer };
    },
    stopAll() {
      for (const { run } of ready.values()) run.channel.destroy();
      ready.clear();
    },
  };
}

function writerOn(run: Run): Writer {
  let text = '';
  let wake: (() => void) | undefined;
  let over = false;
  void run.err.collect(() => undefined);
  void run.out.collect((chunk) => {
    text += chunk.toString('latin1');
    wake?.();
  });
  void run.ended.then(() => {
    over = true;
    wake?.();
  });
  const writer: Writer = {
    run,
    busy: false,
    uses: 0,
    async ask(id, call) {
      writer.busy = true;
      writer.uses += 1;
      const cancel = after(ANSWER_SECONDS, () => {
        run.channel.destroy();
        over = true;
        wake?.();
      });
      try {
        text = '';
        run.channel.write(`=${id} ${call}\n`);
        const end = `\n==${id}\n`;
        while (!over && !text.includes(end))
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        const at = text.indexOf(end);
        return at < 0 ? undefined : text.slice(0, at);
      } finally {
        cancel();
        writer.busy = false;
      }
    },
  };
  return writer;
}
