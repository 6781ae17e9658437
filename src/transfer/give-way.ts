import { readlinkSync } from 'node:fs';
import os from 'node:os';

/** Of the processor time, what competes with this thread then has three times as much as it. */
const STEPS_BACK = 5;
const LAST = os.constants.priority.PRIORITY_LOW;

/** This thread steps back behind the other threads of the process, where the system lets one thread do that alone. */
export function giveWay(): void {
  try {
    const thread = Number(readlinkSync('/proc/thread-self').split('/').at(-1));
    if (thread > 1) os.setPriority(thread, Math.min(LAST, os.getPriority(thread) + STEPS_BACK));
  } catch {
    // Not Linux, or not allowed: it is only a courtesy.
  }
}
