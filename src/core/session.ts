import { z } from 'zod';
import type { CallOptions } from './call.ts';
import { type PodId, podIdSchema, type SessionId, sessionIdSchema } from './ids.ts';
import { pageSchema } from './page.ts';

/** `unreachable`: we cannot look now, the shell may well be alive. `lost`: the pod restarted or is gone. */
export const sessionStateSchema = z.enum(['idle', 'busy', 'unreachable', 'closed', 'lost']);
export type SessionState = z.output<typeof sessionStateSchema>;

export const KEY_NAMES = [
  'enter',
  'ctrl-c',
  'ctrl-d',
  'ctrl-z',
  'ctrl-l',
  'ctrl-u',
  'ctrl-\\',
  'tab',
  'escape',
  'space',
  'backspace',
  'up',
  'down',
  'left',
  'right',
  'home',
  'end',
  'page-up',
  'page-down',
] as const;

export const sessionCommandSchema = z.object({
  commandId: z.string(),
  done: z.boolean(),
  exitCode: z.int().exactOptional(),
});

/** What we keep about a shell on a pod. The truth lives on the pod; this is how the next server finds it. */
export const sessionRecordSchema = z.object({
  sessionId: sessionIdSchema,
  podId: podIdSchema,
  cwd: z.string(),
  /** Absolute folder of the session on the pod. */
  folder: z.string(),
  terminal: z.enum(['pty', 'pipe']),
  state: sessionStateSchema,
  openedAt: z.string(),
  closedAt: z.string().exactOptional(),
  exitCode: z.int().exactOptional(),
  /** Local copy of the transcript, made when the session or its pod ended. */
  archivePath: z.string().exactOptional(),
  /** A command was running when we ended the shell. */
  wasCutOff: z.boolean().exactOptional(),
  /** Bytes of the transcript before this offset were dropped; absent: none were. */
  keptFrom: z.int().nonnegative().exactOptional(),
});
export type SessionRecord = Readonly<z.output<typeof sessionRecordSchema>>;

export const sessionOpenedSchema = z.object({
  sessionId: sessionIdSchema,
  podId: podIdSchema,
  state: sessionStateSchema,
  cwd: z.string(),
  terminal: z.enum(['pty', 'pipe']),
  reused: z.boolean(),
  nextOffset: z.int().nonnegative(),
});
export const sessionWrittenSchema = z.object({
  sessionId: sessionIdSchema,
  state: sessionStateSchema,
  /** `program`: no new command was started; `done` and `exitCode` speak of the one that was typed to. */
  typedTo: z.enum(['shell', 'program']),
  commandId: z.string().exactOptional(),
  done: z.boolean(),
  exitCode: z.int().exactOptional(),
  ...pageSchema.shape,
});
export const sessionPageSchema = z.object({
  sessionId: sessionIdSchema,
  state: sessionStateSchema,
  ...pageSchema.shape,
  matched: z.boolean().exactOptional().describe('Whether `until` was seen.'),
  commands: z.array(sessionCommandSchema),
});
export const sessionClosedSchema = z.object({
  sessionId: sessionIdSchema,
  state: sessionStateSchema,
  processesGone: z.enum(['yes', 'no', 'unknown']),
  exitCode: z.int().exactOptional(),
});
export type SessionOpened = z.output<typeof sessionOpenedSchema>;
export type SessionWritten = z.output<typeof sessionWrittenSchema>;
export type SessionPage = z.output<typeof sessionPageSchema>;
export type SessionClosed = z.output<typeof sessionClosedSchema>;

export interface SessionWrite {
  /** Exactly one of `input` and `key`. At an idle shell `input` is a command; else it is typed to the running program. */
  readonly input?: string | undefined;
  readonly key?: (typeof KEY_NAMES)[number] | undefined;
  readonly newline: boolean;
  /** Never echoed, never stored, masked should it come back. */
  readonly secret: boolean;
  readonly waitSeconds: number;
}
export interface SessionRead {
  /** Absent: from where this server last read this session; a fresh server starts at 0. Clamped to what exists. */
  readonly offset?: number | undefined;
  readonly maxBytes: number;
  readonly waitSeconds: number;
  readonly until?: string | undefined;
  readonly format: 'clean' | 'raw';
}

/** Shells whose life is on the pod: they survive us, the link, and any number of servers at once. */
export interface Sessions extends AsyncDisposable {
  open(
    podId: PodId,
    request: { readonly cwd?: string | undefined; readonly reuse: boolean },
    options: CallOptions,
  ): Promise<SessionOpened>;
  /** Waits for the end of the command at most `waitSeconds`; the output of this command comes back. */
  write(sessionId: SessionId, request: SessionWrite, options: CallOptions): Promise<SessionWritten>;
  read(sessionId: SessionId, request: SessionRead, options: CallOptions): Promise<SessionPage>;
  close(
    sessionId: SessionId,
    request: { readonly force: boolean },
    options: CallOptions,
  ): Promise<SessionClosed>;
  /** Records of live and ended sessions, newest first. One look at the store, no network. */
  list(podId?: PodId): Promise<readonly SessionRecord[]>;
  /** Whether a command runs in an open session of the pod, seen there now. Throws where that cannot be seen. */
  readonly hasBusy?: (podId: PodId, options: CallOptions) => Promise<boolean>;
  /** Records of the open sessions of the pod, each in the state that is seen there now. Throws where that cannot be seen. */
  readonly look?: (podId: PodId, options: CallOptions) => Promise<readonly SessionRecord[]>;
  /** Before teardown: copies transcripts home where it can, closes what is open, marks the records. Never throws for an unreachable pod. */
  closePod(podId: PodId, options: CallOptions): Promise<void>;
}
