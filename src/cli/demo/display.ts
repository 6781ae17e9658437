import { type Output, shown } from '../output.ts';
import { PROMISES, type PromiseNumber } from './step.ts';

export interface CallShown {
  readonly tool: string;
  readonly seconds: number;
  readonly summary: string;
  /** What a shell on the pod was given. */
  readonly typed?: string | undefined;
}
export interface HeldPromise {
  readonly promise: PromiseNumber;
  readonly name: string;
  readonly evidence: string;
}

/** What the person sees while it happens. In JSON mode: one line for each step, and one at the end. */
export interface Display {
  opening(about: {
    readonly version: string;
    readonly protocol: string;
    readonly tools: number;
  }): void;
  step(number: number, of: number, title: string): void;
  call(call: CallShown): void;
  progress(message: string): void;
  say(text: string): void;
  held(held: HeldPromise): void;
  stepDone(seconds: number): void;
  failed(expected: string, serverLog: string): void;
  closing(end: {
    readonly ok: boolean;
    readonly seconds: number;
    readonly held: readonly HeldPromise[];
    /** As the report of the day said it. */
    readonly costUsd?: string | undefined;
    readonly keptAt?: string | undefined;
  }): void;
}

export function createDisplay(out: Output): Display {
  let current = { number: 0, title: '' };
  let calls: CallShown[] = [];
  let kept: HeldPromise[] = [];
  const detail = (text: string): void => {
    out.line(`      ${text}`);
  };
  return {
    opening: ({ version, protocol, tools }) => {
      out.value({ demo: 'started', version, protocol, tools });
      out.line(out.paint('bold', `gpu-lease ${version}: an agent's working day, on this machine`));
      out.line(
        `A real MCP client (protocol ${protocol}), a real server, ${tools} tools, real pods.`,
      );
    },
    step: (number, of, title) => {
      current = { number, title };
      calls = [];
      kept = [];
      out.line();
      out.line(`${out.paint('dim', `${number}/${of}`.padStart(5))} ${out.paint('bold', title)}`);
    },
    call: (call) => {
      calls.push(call);
      const tool = out.paint('cyan', call.tool.padEnd(15));
      detail(`${tool} ${call.seconds.toFixed(2).padStart(6)} s  ${shown(call.summary, 140)}`);
      if (call.typed !== undefined) detail(out.paint('dim', `  $ ${shown(call.typed, 140)}`));
    },
    progress: (message) => {
      detail(out.paint('dim', `… ${shown(message, 120)}`));
    },
    say: (text) => {
      detail(`  ${shown(text, 160)}`);
    },
    held: (held) => {
      kept.push(held);
      detail(`${out.paint('green', '✓')} ${held.name}: ${shown(held.evidence, 160)}`);
    },
    stepDone: (seconds) => {
      out.value({
        step: current.number,
        title: current.title,
        ok: true,
        seconds,
        calls,
        promises: kept,
      });
    },
    failed: (expected, serverLog) => {
      const { number, title } = current;
      out.value({ step: number, title, ok: false, expected, calls, serverLog });
      if (out.json) return;
      out.line();
      out.note(
        `${out.paint('red', '✗')} Step ${number} (${title}) failed. Expected: ${shown(expected, 400)}`,
      );
      if (serverLog !== '') out.note(`The server said:\n${serverLog}`);
    },
    closing: ({ ok, seconds, held, costUsd, keptAt }) => {
      out.value({ demo: ok ? 'passed' : 'failed', seconds, promises: held, costUsd, keptAt });
      out.line();
      if (ok) out.line(out.paint('bold', 'Every promise, as it was seen:'));
      for (const { promise, name, evidence } of ok ? held : [])
        out.line(
          `  ${out.paint('green', '✓')} ${String(promise).padStart(2)} ${name.padEnd(30)} ${shown(evidence, 120)}`,
        );
      if (ok) out.line();
      if (ok)
        out.line(
          `Done in ${seconds.toFixed(0)} s for $${costUsd ?? '0.00'}. No pod, no process and no folder is left.`,
        );
      if (keptAt !== undefined) out.line(`State, results and transcripts were kept: ${keptAt}`);
    },
  };
}

export function heldPromise(promise: PromiseNumber, evidence: string): HeldPromise {
  return { promise, name: PROMISES[promise], evidence };
}
