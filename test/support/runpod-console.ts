import type { RunpodSandbox } from './runpod-sandbox.ts';

/** What the user does in the console of RunPod, without us: one request of REST v2. Throws what it was refused with. */
export async function inConsole<T>(
  { restV2Url, apiKey }: RunpodSandbox,
  line: string,
  body?: unknown,
): Promise<T> {
  const [method = 'GET', target = ''] = line.split(' ');
  const answer = await fetch(`${restV2Url}${target}`, {
    method,
    headers: { authorization: `Bearer ${apiKey}`, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${answer.status} ${text}`);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

/** A pod that the user made there, with this line of authorized_keys on the account. Answers its id at RunPod. */
export async function madeByHand(cloud: RunpodSandbox, publicKey: string): Promise<string> {
  await inConsole(cloud, 'PUT /account/ssh-keys', { keys: [publicKey] });
  const { id } = await inConsole<{ id: string }>(cloud, 'POST /pods', {
    name: 'by-hand',
    image: 'runpod/pytorch:1.0.2-cu1281-torch280-ubuntu2404',
    gpu: { id: 'NVIDIA GeForce RTX 4090', count: 1 },
    ports: ['22/tcp', '8888/http'],
    mounts: { persistent: { size: 20, path: '/workspace' } },
    startSsh: true,
  });
  return id;
}
