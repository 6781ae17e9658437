import type { Instance } from './instance.ts';
import { newId, type World } from './world.ts';

/** A volume outlives its instance, and is free a moment later. */
export function freeVolume(world: World, { id }: Instance): void {
  for (const volume of world.volumes.values())
    if (volume.heldBy === id)
      world.clock.after(world.options.volumeFreeSeconds, () => {
        volume.heldBy = undefined;
      });
}

/** An offer rents once: what is free again is listed under a new number. */
export function relist(world: World, { ask }: Instance): void {
  if (!world.asks.delete(ask.id)) return;
  const id = newId(world) + 20_000_000;
  world.asks.set(id, { ...ask, id });
}
