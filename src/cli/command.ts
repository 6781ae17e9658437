import type { Readable, Writable } from 'node:stream';
import type { Clock } from '../core/call.ts';
import type { Files } from '../core/files.ts';
import type { Doctor } from '../core/health.ts';
import type { Pods } from '../core/pods.ts';
import type { Verifier } from '../core/receipt.ts';
import type { SandboxProgram } from '../core/sandbox.ts';
import type { Watcher } from '../core/watcher.ts';
import type { Output } from './output.ts';

/** The part of the services that commands use. */
export interface CliServices {
  readonly pods: Pods;
  readonly files: Files;
  readonly doctor: Doctor;
  readonly watcher: Watcher;
}

/** What the program knows about the process it runs in. Made once, by the entry. */
export interface CliHost {
  readonly stdin: Readable;
  readonly stdout: Writable;
  readonly stderr: Writable;
  /** Somebody can be asked: stdin and stdout are terminals. */
  readonly interactive: boolean;
  /** stdout is a terminal and nobody forbade colour. */
  readonly colour: boolean;
  /** Built on the first call: commands that need nothing start nothing. */
  readonly services: () => Promise<CliServices>;
  /** The made-up clouds, not started yet. */
  readonly sandbox: () => Promise<SandboxProgram>;
  /** Checks receipts without opening the state. */
  readonly verifier: () => Promise<Verifier>;
  readonly clock: Clock;
  /** Aborts on Ctrl-C and on a polite request to end. */
  readonly signal: AbortSignal;
  readonly version: string;
  /** Absolute path of the node that runs us. */
  readonly nodePath: string;
  /** Absolute path of dist/main.js. */
  readonly mainPath: string;
  readonly userHome: string;
  /** Where our state lies. */
  readonly stateFolder: string;
  readonly workingFolder: string;
  readonly platform: NodeJS.Platform;
  /** Where programs of this person keep settings: XDG_CONFIG_HOME or APPDATA, when set. */
  readonly settingsFolder?: string | undefined;
}

/** An option of `node:util` parseArgs, with the words its help needs. */
export interface Option {
  readonly type: 'string' | 'boolean';
  readonly short?: string;
  readonly multiple?: boolean;
  /** What stands for the value in the help, like `TEXT`. */
  readonly value?: string;
  readonly help: string;
}

export type OptionValues = Readonly<
  Record<string, string | boolean | readonly (string | boolean)[] | undefined>
>;

export interface CommandContext extends Omit<CliHost, 'stdout' | 'stderr' | 'colour'> {
  readonly out: Output;
  readonly values: OptionValues;
  readonly positionals: readonly string[];
}

/** How a command is described; serving commands have only this, because the entry runs them. */
export interface CommandHelp {
  readonly name: string;
  readonly summary: string;
  /** What follows `gpu-lease NAME`. */
  readonly usage: string;
  readonly details?: string;
  readonly options: Readonly<Record<string, Option>>;
  /** What stands below the options in the help, where it must be asked for. */
  readonly more?: (host: CliHost) => Promise<string>;
}

export interface Command extends CommandHelp {
  /** How many words may follow the name. */
  readonly positionals: { readonly min: number; readonly max: number };
  /** Answers with the exit code: 0 only for success. */
  run(context: CommandContext): Promise<number>;
}

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** A command line that makes no sense; answered with the usage and exit code 2. */
export class UsageError extends Error {}

export function flag(values: OptionValues, name: string): boolean {
  return values[name] === true;
}

export function text(values: OptionValues, name: string): string | undefined {
  const value = values[name];
  return typeof value === 'string' ? value : undefined;
}

/** The value of an option that knows only some words. */
export function choice<const T extends string>(
  values: OptionValues,
  name: string,
  allowed: readonly T[],
  otherwise: T,
): T {
  const given = text(values, name);
  if (given === undefined) return otherwise;
  const found = allowed.find((word) => word === given);
  if (found === undefined) throw new UsageError(`--${name} must be one of: ${allowed.join(', ')}.`);
  return found;
}

/** All values of an option that may be repeated. */
export function texts(values: OptionValues, name: string): readonly string[] {
  const given = values[name];
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  return list.filter((value) => typeof value === 'string');
}

/** The value of an option that takes a number within bounds. */
export function numberOf(
  values: OptionValues,
  name: string,
  bounds: { readonly min: number; readonly max: number; readonly whole?: boolean },
): number | undefined {
  const given = text(values, name);
  if (given === undefined) return undefined;
  const number = given.trim() === '' ? Number.NaN : Number(given);
  const { min, max, whole = false } = bounds;
  if (!(number >= min && number <= max) || (whole && !Number.isInteger(number)))
    throw new UsageError(`--${name} takes a ${whole ? 'whole ' : ''}number from ${min} to ${max}.`);
  return number;
}
