import type { FakeAnswer } from '../http.ts';
import { failure, type Json } from './answers.ts';
import { given, isObject, numberOf, objectOf, textOf, textsOf } from './foreign.ts';
import type { Order } from './instance.ts';
import { parseRuntype } from './runtype.ts';
import { templateEnv, templateRuntype } from './template-fields.ts';
import type { Template, World } from './world.ts';

const MAX_IMAGE = 1_024;
const MAX_SCRIPT = 16_384;
const MAX_LABEL = 256;
const MAX_ENV_CHARACTERS = 32_768;
const DEFAULT_DISK_GB = 8;
const MAX_BID = 128;
const MIN_BID = 0.001;

const invalid = (msg: string): FakeAnswer =>
  failure(400, 'invalid_args', `error 400/3467: Invalid args: ${msg}`);

export function templateOf(world: World, body: Json): Template | undefined {
  const hash = textOf(given(body, 'template_hash_id'));
  const id = numberOf(given(body, 'template_id'));
  return [...world.templates.values()].find(
    (one) => (hash !== undefined && one.hashId === hash) || (id !== undefined && one.id === id),
  );
}

/** An object of strings; a text is silently not applied, as on the real cloud. */
function envOf(body: Json, base: ReadonlyMap<string, string>): [string, string][] {
  const env = new Map(base);
  for (const [name, value] of Object.entries(objectOf(given(body, 'env'))))
    if (typeof value === 'string' || typeof value === 'number') env.set(name, String(value));
  return [...env];
}

/** The body of a create, checked and merged with its template; `null` in the body counts as not said. */
export function readOrder(
  world: World,
  body: Json,
): { readonly order: Order } | { readonly refused: FakeAnswer } {
  const refused = (answer: FakeAnswer) => ({ refused: answer });
  const template = templateOf(world, body);
  if (template === undefined && given(body, 'template_hash_id') !== undefined)
    return refused(invalid("'template_hash_id' is not a known template"));
  const fields = template?.fields ?? {};
  const scalar = (name: string): unknown => given(body, name) ?? given(fields, name);
  const templateImage = templateImageOf(fields);
  const image = textOf(given(body, 'image')) ?? templateImage;
  if (image === undefined || image === '') return refused(invalid("'image' is required"));
  const args = textsOf(scalar('args'));
  const argsText = textOf(scalar('args_str')) ?? '';
  const onstart = textOf(scalar('onstart')) ?? null;
  const label = textOf(given(body, 'label')) ?? null;
  const script = args.join(' ').length + argsText.length + (onstart?.length ?? 0);
  if (image.length > MAX_IMAGE || script > MAX_SCRIPT || (label?.length ?? 0) > MAX_LABEL)
    return refused(
      failure(
        400,
        'invalid_args',
        'error 400/3471: Invalid args: len(image) > 1024, or len(args) > 16384, or len(label) > 256',
      ),
    );
  const env = envOf(body, templateEnv(fields));
  if (env.reduce((sum, [name, value]) => sum + name.length + value.length, 0) > MAX_ENV_CHARACTERS)
    return refused(invalid("'env' is too long"));
  const diskGb = numberOf(given(body, 'disk')) ?? numberOf(given(fields, 'recommended_disk_space'));
  if (diskGb !== undefined && diskGb < DEFAULT_DISK_GB)
    return refused(invalid("'disk' must be at least 8"));
  const price = given(body, 'price');
  const bid = numberOf(price);
  if (price !== undefined && (bid === undefined || bid < MIN_BID || bid > MAX_BID))
    return refused(failure(400, 'invalid_price', `price must be from ${MIN_BID} to ${MAX_BID}`));
  const said = textOf(given(body, 'runtype'));
  const runtype =
    said === undefined
      ? ownRuntype(template, args.length > 0 || argsText !== '')
      : parseRuntype(said);
  if (runtype === undefined) return refused(invalid("'runtype' is not known"));
  const volume = given(body, 'volume_info');
  return {
    order: {
      image,
      diskGb: diskGb ?? DEFAULT_DISK_GB,
      label: label === '' ? null : label,
      onstart,
      args,
      env,
      runtype,
      imageLogin: textOf(scalar('image_login')) ?? templateLogin(fields) ?? null,
      bidUsdPerHour: bid,
      template:
        template === undefined
          ? null
          : {
              id: template.id,
              hashId: template.hashId,
              name: textOf(template.fields['name']) ?? '',
            },
      mountPath: isObject(volume) ? textOf(volume['mount_path']) : undefined,
      volumeId: undefined,
    },
  };
}

const ownRuntype = (template: Template | undefined, hasArgs: boolean) =>
  template === undefined
    ? parseRuntype(hasArgs ? 'args' : 'ssh')
    : parseRuntype(templateRuntype(template.fields));

/** Image and tag are two fields of a template. */
function templateImageOf(fields: Json): string | undefined {
  const image = textOf(fields['image']);
  const tag = textOf(fields['tag']);
  return image === undefined || tag === undefined || tag === '' || image.includes(':')
    ? image
    : `${image}:${tag}`;
}

function templateLogin(fields: Json): string | undefined {
  const user = textOf(fields['docker_login_user']);
  if (user === undefined || user === '') return undefined;
  const [repo, pass] = [textOf(fields['docker_login_repo']), textOf(fields['docker_login_pass'])];
  return `-u ${user} -p ${pass ?? ''} ${repo ?? ''}`;
}
