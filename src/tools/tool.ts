import { z } from 'zod';
import type { CallOptions, Clock } from '../core/call.ts';
import type { ArtifactRecord, Files } from '../core/files.ts';
import type { Doctor, Health } from '../core/health.ts';
import type { ProviderName } from '../core/ids.ts';
import type { Jobs } from '../core/job.ts';
import type { Ask, Offers, Pods } from '../core/pods.ts';
import type { Profiles } from '../core/profile.ts';
import type { Reports } from '../core/report.ts';
import type { Sessions } from '../core/session.ts';
import type { Watcher } from '../core/watcher.ts';

/** What a call does to the world. The four MCP hints, the docs and the tests derive from this one word. */
export type Effect = 'read' | 'write' | 'spend' | 'execute' | 'destroy';

/** Live as long as the app. */
export interface Services {
  readonly offers: Offers;
  readonly pods: Pods;
  readonly sessions: Sessions;
  readonly jobs: Jobs;
  readonly files: Files;
  readonly profiles: Profiles;
  readonly health: Health;
  readonly doctor: Doctor;
  readonly reports: Reports;
  /** What came home, from the store: no network. */
  readonly artifacts: { list(): Promise<readonly ArtifactRecord[]> };
  /** Who watches when no server runs. Reads the store alone. */
  readonly watcher?: Pick<Watcher, 'status'>;
  readonly clock: Clock;
  /** Clouds that are configured, `local` included. */
  readonly providerNames: readonly ProviderName[];
}

/** Lives as long as one call. */
export interface ToolContext extends Services, CallOptions {
  readonly progress: (message: string) => void;
  /** Asks the person through the client, where it can. */
  readonly ask: Ask;
}

export interface Tool<
  Input extends z.ZodObject = z.ZodObject,
  Output extends z.ZodObject = z.ZodObject,
> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly effect: Effect;
  readonly input: Input;
  readonly output: Output;
  /** Asks the services and answers with plain data. Knows nothing of MCP. */
  handle(input: z.output<Input>, context: ToolContext): Promise<z.input<Output>>;
  /** The same facts as text. Pure. */
  render(output: z.output<Output>): string;
}

/** Checks one definition, then forgets its types, so that tools of every shape fit one list. */
export function defineTool<Input extends z.ZodObject, Output extends z.ZodObject>(
  tool: Tool<Input, Output>,
): Tool {
  return tool;
}

/** A suggested next call: at most three per result, made by our code from our own facts only. */
export const nextSchema = z
  .array(
    z.object({
      tool: z.string(),
      why: z.string(),
      arguments: z.record(z.string(), z.json()).exactOptional(),
    }),
  )
  .max(3);

/** Every result opens with one sentence and closes with what to do now. */
export const resultShape = { summary: z.string(), next: nextSchema };
