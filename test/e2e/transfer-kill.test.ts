import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BuiltServer, sandbox } from '../support/built-server.ts';
import { type MeteredProxy, startMeteredProxy } from '../support/metered-proxy.ts';
import { startSshd, type TestSshd } from '../support/sshd.ts';

const BYTES = 256 << 20;
const RATE = 60e6;
/**
 * What may go over the link more than once, the words around it included: 2 % of a GiB. It is what was under way at that
 * moment, and does not grow with the file.
 */
const AGAIN_BYTES = 0.02 * 2 ** 30;

let box: Awaited<ReturnType<typeof sandbox>>;
let sshd: TestSshd;
let link: MeteredProxy;
let server: BuiltServer;

beforeEach(async () => {
  box = await sandbox();
  sshd = await startSshd();
  link = await startMeteredProxy(sshd.endpoint.port, RATE);
  server = await BuiltServer.start(box);
  await server.call('ssh_profile', {
    action: 'save',
    profileId: 'lab',
    sshCommand: `ssh -p ${link.port} -i ${sshd.keyPath} ${sshd.endpoint.user}@127.0.0.1`,
  });
});
afterEach(async () => {
  await server[Symbol.asyncDispose]();
  await link[Symbol.asyncDispose]();
  await sshd[Symbol.asyncDispose]();
  await box[Symbol.asyncDispose]();
});

/** Bytes that no compression makes smaller and no two blocks share. */
async function noise(file: string): Promise<void> {
  await mkdir(path.dirname(file), { recursive: true });
  await using zeros = await open('/dev/urandom');
  await pipeline(
    zeros.createReadStream({ end: BYTES - 1, highWaterMark: 1 << 20 }),
    (await open(file, 'wx')).createWriteStream(),
  );
}
async function shaOf(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), hash);
  return hash.digest('hex');
}
/** Kills the server once `sent()` has passed `bytes`. */
async function killAt(sent: () => number, bytes: number): Promise<void> {
  const end = Date.now() + 60_000;
  while (sent() < bytes) {
    if (Date.now() > end) throw new Error(`Only ${sent()} of ${bytes} bytes came over in time.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await server.kill9();
}

describe('kill -9 of the server in the middle of a big transfer', () => {
  it('sync: the next call goes on from where it was [SY-10]', async () => {
    const local = path.join(box.workspace, 'model/weights.bin');
    await noise(local);
    const args = { profileId: 'lab', localPath: 'model', remotePath: `${sshd.home}/model` };
    const first = server.tool('sync_files', args).catch((thrown: unknown) => thrown);
    await killAt(() => link.sentBytes, BYTES * 0.45);
    await first;
    const target = path.join(sshd.home, 'model/weights.bin');
    await expect(stat(target)).rejects.toMatchObject({ code: 'ENOENT' });

    server = await BuiltServer.start(box);
    const result = await server.call('sync_files', args);
    expect(result).toMatchObject({ verified: true });
    expect(await shaOf(target)).toBe(await shaOf(local));
    expect(link.sentBytes - BYTES).toBeLessThan(AGAIN_BYTES);
  }, 120_000);

  it('fetch: the next call goes on from where it was [AR-06]', async () => {
    const source = path.join(sshd.home, 'out/weights.bin');
    await noise(source);
    const args = { podId: 'ssh:lab', paths: [source], localPath: 'home', verify: 'hash' };
    const first = server.tool('fetch_artifacts', args).catch((thrown: unknown) => thrown);
    await killAt(() => link.receivedBytes, BYTES * 0.45);
    await first;

    server = await BuiltServer.start(box);
    const result = await server.call('fetch_artifacts', args);
    const { files } = result['manifest'] as { files: { localPath: string; sha256: string }[] };
    expect(files).toHaveLength(1);
    expect(await shaOf(files[0]?.localPath ?? '')).toBe(await shaOf(source));
    expect(link.receivedBytes - BYTES).toBeLessThan(AGAIN_BYTES);
  }, 120_000);
});
