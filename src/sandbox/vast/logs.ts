import type { FakeAnswer } from '../http.ts';
import { failure, success } from './answers.ts';
import { type Call, idOf, living } from './call.ts';
import { machineIdOf } from './container.ts';
import { given, isObject, numberOf, textOf } from './foreign.ts';
import { strikes, subjectOf, type World } from './world.ts';

const DEFAULT_TAIL = 1_000;
const MAX_COMMAND = 512;
const KEPT_FILES = 200;
const COMMANDS = ['ls', 'rm', 'du'];
const WRITEABLE_PATH = '/var/lib/docker/volumes/data/';

const invalidId = (): FakeAnswer => failure(404, 'invalid_id', 'Invalid instance id.');

/** A file that is there after so many polls, on the same origin and without any key. */
function upload(world: World, text: () => string, notYet: number): string {
  const name = `${world.dice.hex(40)}.log`;
  world.logFiles.set(name, { text, notYet });
  const [oldest] = world.logFiles.keys();
  if (world.logFiles.size > KEPT_FILES && oldest !== undefined) world.logFiles.delete(oldest);
  return `${world.origin()}/instance_logs/${name}`;
}

/** `PUT /instances/request_logs/{id}/`. */
export async function requestLogs(call: Call): Promise<FakeAnswer> {
  const { world, body } = call;
  const instance = living(world, idOf(call));
  if (instance === undefined) return invalidId();
  const tail = numberOf(given(body, 'tail')) ?? DEFAULT_TAIL;
  const filter = textOf(given(body, 'filter'));
  const isDaemon = String(body['daemon_logs']) === 'true';
  const lines = isDaemon
    ? [...instance.daemonLog]
    : (await world.machines.bootLog(machineIdOf(world, instance)).catch(() => '')).split('\n');
  if (!isDaemon && lines.at(-1) === '') lines.pop();
  const wanted = lines.filter((line) => filter === undefined || line.includes(filter));
  const text = wanted
    .slice(-Math.max(1, tail))
    .map((line) => `${line}\n`)
    .join('');
  const never = strikes(world, 'logs-never', subjectOf(instance.ask, call.route)) !== undefined;
  const url = upload(world, () => text, never ? Infinity : world.options.logPolls);
  return success({ result_url: url, msg: 'Log upload requested.' });
}

/** `PUT /instances/command/{id}/`: three harmless words and no more. */
export function executeCommand(call: Call): FakeAnswer {
  const { world, request, body } = call;
  if (request.rawBody !== '' && !isObject(request.body))
    return failure(483, 'invalid_args', 'Invalid json_body');
  const instance = living(world, idOf(call));
  if (instance === undefined) return failure(400, 'invalid_container_id', 'Invalid container id.');
  const command = textOf(body['command']) ?? '';
  const [word = ''] = command.trim().split(/\s+/);
  if (command.length > MAX_COMMAND || !COMMANDS.includes(word) || /[;&|`$<>\n]/.test(command))
    return failure(400, 'invalid_args', 'Invalid command given.');
  if (instance.actual !== 'running')
    return failure(400, 'invalid_container', 'The container is not running.');
  const text =
    word === 'ls' ? `${WRITEABLE_PATH}\n` : word === 'du' ? `4.0K\t${WRITEABLE_PATH}\n` : '';
  return success({
    writeable_path: WRITEABLE_PATH,
    result_url: upload(world, () => text, world.options.logPolls),
    msg: 'Command is executing, wait a few seconds and then view the result_url',
  });
}

const xml = (status: number, code: string, message: string): FakeAnswer => ({
  status,
  contentType: 'application/xml',
  text: `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`,
});

/** `GET /instance_logs/{name}`: an object store, which refuses a key that it was not made for. */
export function logFile({ world, request, params }: Call): FakeAnswer {
  if (request.headers['authorization'] !== undefined)
    return xml(400, 'InvalidArgument', 'Unsupported Authorization Type');
  const file = world.logFiles.get(params[0] ?? '');
  if (file === undefined) return xml(404, 'NoSuchKey', 'The specified key does not exist.');
  if (file.notYet > 0) {
    file.notYet -= 1;
    return xml(403, 'AccessDenied', 'Access Denied');
  }
  return { status: 200, text: file.text(), contentType: 'text/plain' };
}
