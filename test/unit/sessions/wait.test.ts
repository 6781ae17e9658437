import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { soon } from '../../../src/sessions/wait.ts';

describe('soon', () => {
  it('is what comes in time, a failure too, and undefined after that', async () => {
    await expect(soon(Promise.resolve(3), 60)).resolves.toBe(3);
    await expect(soon(Promise.reject(new Error('no')), 60)).rejects.toThrow('no');
    const never = once(new EventTarget(), 'never');
    await expect(soon(never, 0.01)).resolves.toBeUndefined();
  });

  it('keeps nothing of what came until its time is up', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    const come = async (): Promise<WeakRef<object>> => {
      const thing = await soon(Promise.resolve({ bytes: 'many' }), 600);
      return new WeakRef(thing ?? {});
    };
    const known = await come();
    // What a turn has looked at is kept to its end.
    await turn();
    collect();
    expect(known.deref()).toBeUndefined();
  });
});
