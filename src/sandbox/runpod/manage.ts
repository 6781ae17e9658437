import type { Life } from './life.ts';
import type { Pod } from './pod.ts';
import { Refusal, WRONG } from './refusal.ts';
import { sizeOf, strikes, subjectOf, type World } from './world.ts';

/** A pod that is there, unless it is told once as gone. Every API reads pods with this. */
export function readPod(world: World, id: string, route: string): Pod | undefined {
  const pod = world.pods.get(id);
  if (pod === undefined || pod.endedAt !== undefined) return undefined;
  return strikes(world, 'null-once', subjectOf(pod, route)) === undefined ? pod : undefined;
}
/** As `readPod`; throws `not-found`. */
export function needPod(world: World, id: string, route: string): Pod {
  const pod = readPod(world, id, route);
  if (pod === undefined) throw new Refusal('not-found', 'pod not found');
  return pod;
}

/** Those that lists tell, newest first. */
export function listPods(world: World, route: string): readonly Pod[] {
  const now = world.clock.nowSeconds();
  return [...world.pods.values()]
    .filter(
      (pod) =>
        pod.endedAt === undefined &&
        now >= pod.visibleAt &&
        strikes(world, 'reads-nothing', subjectOf(pod, route)) === undefined,
    )
    .sort((left, right) => right.createdAt - left.createdAt);
}

/** What is told of the container now: with scripted trouble nothing, every other time. */
export function shownRuntime(pod: Pod): Pod['runtime'] {
  if (pod.runtime === null || !pod.faults.has('runtime-flaps')) return pod.runtime;
  pod.flap = !pod.flap;
  return pod.flap ? null : pod.runtime;
}

/** Its variables as they are told. */
export const shownEnv = (
  { options }: World,
  { order, injected }: Pod,
): readonly [string, string][] =>
  [...order.env].filter(([name]) => options.showsInjectedEnv || !injected.includes(name));

/** Whether the machine behind it is told already. */
export function hasMachine(world: World, { faults, createdAt }: Pod): boolean {
  const late = faults.get('no-machine');
  return late === undefined || world.clock.nowSeconds() >= createdAt + sizeOf(late, 30);
}

/** Throws `gone` for a pod that is not there: for whoever wants it gone that is success. */
export function terminate(world: World, life: Life, id: string, route: string): void {
  const pod = world.pods.get(id);
  const gone = new Refusal('gone', 'pod not found to terminate');
  if (pod === undefined || pod.endedAt !== undefined) throw gone;
  const subject = subjectOf(pod, route);
  if (strikes(world, 'terminate-fails', subject) !== undefined)
    throw new Refusal('internal', WRONG);
  if (strikes(world, 'terminate-404', subject) !== undefined) throw gone;
  if (strikes(world, 'terminate-ignored', subject) !== undefined) return;
  const lingers = strikes(world, 'terminate-lingers', subject);
  if (lingers === undefined) life.end(pod);
  else
    world.clock.after(sizeOf(lingers, 60), () => {
      life.end(pod);
    });
}
