import type { z } from 'zod';
import type { Clock } from '../../core/call.ts';
import type { DemoServer } from './server.ts';

/** What one step learns and a later one needs. */
export type FactName =
  | 'offerId'
  | 'podId'
  | 'sessionId'
  | 'shellFolder'
  | 'ticksFrom'
  | 'jobId'
  | 'logOffset'
  | 'costUsd';

/** What a step may do. Everything it shows and everything it expects goes through here. */
export interface Day {
  readonly server: DemoServer;
  readonly workspace: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Calls a tool, shows it, and reads the result. An error result or an unexpected shape ends the demo. */
  call<T extends z.ZodType>(
    tool: string,
    input: Readonly<Record<string, unknown>>,
    schema: T,
  ): Promise<z.output<T>>;
  say(text: string): void;
  /** Puts a check mark: this promise held, and here is how it was seen. */
  held(promise: PromiseNumber, evidence: string): void;
  remember(name: FactName, value: string): void;
  recall(name: FactName): string;
  /** Starts a server for the same state folder, after the last one ended. */
  restart(): Promise<void>;
}

/** A piece of the day, in order. */
export interface Step {
  readonly title: string;
  run(day: Day): Promise<void>;
}

export const PROMISES = {
  1: 'Works with nothing',
  2: 'No pod leaks',
  3: 'Gone means seen gone',
  4: 'The meter stops without us',
  5: 'Nobody destroys the only copy',
  6: 'Cancelled means dead',
  7: 'A job needs no watcher',
  8: 'Reads never surprise',
  9: 'Unknown is a value',
  10: 'Foreign text is data',
} as const;
export type PromiseNumber = keyof typeof PROMISES;

/** Something did not come true. The message is for the person who watches. */
export class ExpectationError extends Error {}

export function check(condition: boolean, expected: string): asserts condition {
  if (!condition) throw new ExpectationError(expected);
}
