import { tinySandboxes } from './tiny-sandbox.ts';

/*
 * A sandbox in a process of its own, to be killed. With the arguments FOLDER MACHINE_SECONDS POD_PROGRAM it starts
 * two machines, says where it is on one line of JSON, and stays.
 */
const [, , folder = '', seconds = '600', pod = ''] = process.argv;
const sandboxes = await tinySandboxes([process.execPath, pod], folder);
const sandbox = await sandboxes.open({ machineSeconds: Number(seconds) });
const [origin] = sandbox.origins;
for (const id of ['1', '2'])
  await fetch(`${origin?.url ?? ''}/pods/${id}`, { method: 'PUT', body: '{}' });
process.stdout.write(`${JSON.stringify({ url: origin?.url, folder: sandbox.folder })}\n`);
setInterval(() => undefined, 60_000);
