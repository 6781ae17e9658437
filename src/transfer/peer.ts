import { z } from 'zod';
import type { CallOptions } from '../core/call.ts';
import { CancelledError } from '../core/errors.ts';
import { failureSchema, packFailure, unpackFailure } from './failure.ts';
import type { Port } from './port.ts';

/** How long an aborted call waits for the other side to have stopped. */
const ABORT_GRACE_SECONDS = 60;

/** Something that one thread does for another: its name, and the shapes of what goes over and of what comes back. */
export interface Method<Args, Result> {
  readonly name: string;
  readonly args: z.ZodType<Args>;
  readonly result: z.ZodType<Result>;
}
export interface Handler {
  readonly name: string;
  run(args: unknown, options: CallOptions): Promise<unknown>;
}
export function handlerOf<Args, Result>(
  { name, args: shape }: Method<Args, Result>,
  work: (args: Args, options: CallOptions) => Promise<Result>,
): Handler {
  return { name, run: async (args, options) => work(shape.parse(args), options) };
}

/** The other thread is gone. `begun`: it had taken the call, so the outcome is unknown; else nothing was done. */
export class PeerGoneError extends Error {
  readonly begun: boolean;
  constructor(begun: boolean, cause: Error) {
    super('The other thread ended.', { cause });
    this.begun = begun;
  }
}

export interface Peer {
  /**
   * Throws what the handler threw, as a `CarriedError`, or `PeerGoneError`. An abort crosses at once, and the answer is still
   * waited for: it comes when the work has stopped.
   */
  call<Args, Result>(
    method: Method<Args, Result>,
    args: Args,
    options: CallOptions,
  ): Promise<Result>;
  /** The other side is gone: what it was asked fails, and what it asked for is stopped. */
  gone(cause: Error): void;
}

const id = z.int();
const messageSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('call'), id, name: z.string(), args: z.unknown() }),
  z.object({ kind: z.literal('begun'), id }),
  z.object({ kind: z.literal('abort'), id }),
  z.object({ kind: z.literal('progress'), id, text: z.string() }),
  z.object({ kind: z.literal('result'), id, value: z.unknown() }),
  z.object({ kind: z.literal('failure'), id, failure: failureSchema }),
]);
type Message = z.output<typeof messageSchema>;

interface Waiting {
  begun: boolean;
  readonly progress: CallOptions['progress'];
  readonly resolve: (value: unknown) => void;
  readonly reject: (failure: Error) => void;
}

/** One side of a line on which both sides may call the other. */
export function createPeer(port: Port, handlers: readonly Handler[]): Peer {
  const waiting = new Map<number, Waiting>();
  const running = new Map<number, AbortController>();
  let nextId = 1;
  const post = (message: Message): void => {
    port.postMessage(message);
  };

  async function serve(callId: number, name: string, args: unknown): Promise<void> {
    const controller = new AbortController();
    const { signal } = controller;
    running.set(callId, controller);
    post({ kind: 'begun', id: callId });
    try {
      const handler = handlers.find((one) => one.name === name);
      if (handler === undefined) throw new Error(`Nobody answers to ${name}.`);
      const progress = (text: string): void => {
        post({ kind: 'progress', id: callId, text });
      };
      const value = await handler.run(args, { signal, progress });
      post({ kind: 'result', id: callId, value });
    } catch (failure) {
      post({ kind: 'failure', id: callId, failure: packFailure(failure, signal) });
    } finally {
      running.delete(callId);
    }
  }

  port.on('message', (raw) => {
    const message = messageSchema.parse(raw);
    const call = waiting.get(message.id);
    switch (message.kind) {
      case 'call':
        void serve(message.id, message.name, message.args);
        break;
      case 'abort':
        running.get(message.id)?.abort();
        break;
      case 'begun':
        if (call !== undefined) call.begun = true;
        break;
      case 'progress':
        call?.progress?.(message.text);
        break;
      case 'result':
        call?.resolve(message.value);
        break;
      case 'failure':
        call?.reject(unpackFailure(message.failure));
        break;
    }
  });

  return {
    async call(method, args, { signal, progress }) {
      if (signal.aborted) throw new CancelledError('cancelled', 'Cancelled before it started.');
      const callId = nextId;
      nextId += 1;
      const onAbort = (): void => {
        post({ kind: 'abort', id: callId });
        AbortSignal.timeout(ABORT_GRACE_SECONDS * 1000).addEventListener('abort', () => {
          const late = waiting.get(callId);
          late?.reject(new CancelledError('cancelled', 'Cancelled; it has not stopped yet.'));
        });
      };
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        const value = await new Promise<unknown>((resolve, reject) => {
          waiting.set(callId, { begun: false, progress, resolve, reject });
          post({ kind: 'call', id: callId, name: method.name, args });
        });
        return method.result.parse(value);
      } finally {
        signal.removeEventListener('abort', onAbort);
        waiting.delete(callId);
      }
    },
    gone(cause) {
      for (const { begun, reject } of waiting.values()) reject(new PeerGoneError(begun, cause));
      for (const controller of running.values()) controller.abort();
    },
  };
}
