import { appendFileSync, statSync } from 'node:fs';
import type { Clock } from '../core/call.ts';
import type { ProgressEvent, ProgressSink } from '../core/progress.ts';

const MAX_FILE_BYTES = 4 << 20;
const MAX_MESSAGE_CHARS = 500;
const SAME_SLOT_SECONDS = 1;

/**
 * One JSON line per event in `file`. Plain progress in one slot is thinned to one line a second; warnings and
 * questions always pass. Past 4 MiB only those are written. Nothing here ever throws.
 */
export function createProgressFile({
  file,
  clock,
  redact,
}: {
  readonly file: string;
  readonly clock: Clock;
  readonly redact: (text: string) => string;
}): ProgressSink {
  const lastBySlot = new Map<string, number>();

  const mayPass = ({ kind, slot }: ProgressEvent): boolean => {
    if (kind === 'warning' || kind === 'needs_input') return true;
    if (sizeOf(file) > MAX_FILE_BYTES) return false;
    if (kind !== 'progress' || slot === undefined) return true;
    const now = clock.now().getTime();
    const last = lastBySlot.get(slot) ?? Number.NEGATIVE_INFINITY;
    if (now - last < SAME_SLOT_SECONDS * 1000) return false;
    lastBySlot.set(slot, now);
    return true;
  };

  return (event) => {
    try {
      if (!mayPass(event)) return;
      const message = redact(event.message).slice(0, MAX_MESSAGE_CHARS);
      const line = { time: clock.now().toISOString(), ...event, message };
      appendFileSync(file, `${JSON.stringify(line)}\n`, { mode: 0o600 });
    } catch {
      // The file is a courtesy. Whatever is wrong with it must not stop the work.
    }
  };
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
