import { stat, utimes, writeFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { jobId, openWorld } from './harness.ts';

const tree = (count: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`src/f${index}.py`, `# ${index}`]),
  );

it('what we sent and nobody touched is not called left on the pod; what was changed or made there is [AR-14]', async () => {
  await using world = await openWorld();
  await world.write({ 'a.py': 'a', 'lib/b.py': 'b', 'lib/c.py': 'c' });
  await world.sync();
  await world.writePod({
    'project/out/model.bin': 'w',
    'project/made.log': 'there',
    elsewhere: 'e',
  });
  await writeFile(world.pod('project/lib/c.py'), 'C');
  const names = async (paths: string[]) => {
    const { leftOnPod, left } = await world.fetch({ paths });
    expect(left).toBe(leftOnPod.length);
    return leftOnPod.map(({ path: name }) => name).toSorted();
  };
  expect(await names(['project/out'])).toEqual([
    'elsewhere',
    'project/lib/c.py',
    'project/made.log',
  ]);
  world.jobs = [world.job()];
  const ofJob = await world.fetch({ jobId, paths: [] });
  expect(ofJob.leftOnPod.map(({ path: name }) => name).toSorted()).toEqual([
    'lib/c.py',
    'made.log',
  ]);
  // The same size and the time of last change that it was sent with: only the pod's own clock gives it away.
  const file = world.pod('project/a.py');
  const { mtime } = await stat(file);
  await writeFile(file, 'A');
  await utimes(file, mtime, mtime);
  const again = await world.fetch({ paths: ['project/out'], dryRun: true });
  expect(again.leftOnPod.map(({ path: name }) => name)).toContain('project/a.py');
});

it('counts what is left, not what is listed of it [AR-14]', async () => {
  await using world = await openWorld();
  const many = Object.entries(tree(299)).map(([name, text]) => [`project/${name}`, text] as const);
  await world.writePod({
    ...Object.fromEntries<string>(many),
    'project/out/x': 'x',
  });
  const result = await world.fetch({ paths: ['project/out'] });
  expect(result.leftOnPod).toHaveLength(200);
  expect(result.left).toBe(299);
});

it('a whole tree that was sent, by folder or file by file, leaves nothing [AR-14]', async () => {
  await using world = await openWorld();
  await world.write(tree(620));
  await world.sync();
  await world.sync({ localPath: 'project/src/f1.py', remotePath: 'single/one.py' });
  await world.writePod({ 'project/out/x': 'x' });
  expect(await world.fetch({ paths: ['project/out'] })).toMatchObject({
    leftOnPod: [],
    left: 0,
  });
});
