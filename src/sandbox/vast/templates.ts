import { createHash } from 'node:crypto';
import type { FakeAnswer } from '../http.ts';
import { failure, type Json, success } from './answers.ts';
import type { Call } from './call.ts';
import { conditionsOf, passes, sortRows } from './filters.ts';
import { given, isObject, numberOf, parseJson, textOf } from './foreign.ts';
import { newId, type Template, type World } from './world.ts';

const OWNER = 123_456;
const PUBLIC = 62_897;
const FILTERS = new Set(
  'creator_id created_at count_created default_tag docker_login_repo id image jup_direct hash_id name recent_create_date recommended_disk_space recommended ssh_direct tag use_ssh'.split(
    ' ',
  ),
);
const DEFAULTS: Json = {
  tag: 'latest',
  env: '',
  onstart: '',
  runtype: 'args',
  args_str: '',
  ssh_direct: false,
  use_ssh: false,
  jup_direct: false,
  jupyter_dir: null,
  use_jupyter_lab: false,
  docker_login_repo: '',
  docker_login_user: '',
  docker_login_pass: '',
  extra_filters: {},
  recommended_disk_space: 8,
  desc: '',
  readme: '',
  href: '',
  repo: '',
  private: true,
  volume_info: null,
};
/** Not part of what a template says: a change of these makes no other hash. */
const UNHASHED = new Set(['hash_id', 'id', 'template_id']);

function contentOf(body: Json): Json {
  return Object.fromEntries(
    Object.entries(body).filter(([name, value]) => !UNHASHED.has(name) && value !== undefined),
  );
}
function hashOf(fields: Json, creatorId: number): string {
  const sorted = Object.entries(fields).sort(([left], [right]) => (left < right ? -1 : 1));
  return createHash('md5')
    .update(JSON.stringify([creatorId, sorted]))
    .digest('hex');
}

export function addTemplate(world: World, body: Json, creatorId = OWNER): Template {
  const fields = { ...DEFAULTS, ...contentOf(body) };
  const hashId = hashOf(fields, creatorId);
  const same = [...world.templates.values()].find((one) => one.hashId === hashId);
  if (same !== undefined) return same;
  const template: Template = {
    id: newId(world),
    hashId,
    fields,
    createdAt: world.clock.nowSeconds(),
    creatorId,
    countCreated: 0,
  };
  world.templates.set(template.id, template);
  return template;
}

/** What everybody finds there: a direct SSH one, a notebook, and one without SSH. */
export function addPublicTemplates(world: World): void {
  const common = { recommended: true, private: false, use_ssh: true };
  const add = (fields: Json): Template => addTemplate(world, { ...common, ...fields }, PUBLIC);
  add({
    name: 'PyTorch (Vast)',
    image: 'vastai/pytorch',
    runtype: 'ssh',
    ssh_direct: true,
    recommended_disk_space: 32,
  });
  add({
    name: 'NVIDIA CUDA',
    image: 'vastai/base-image',
    runtype: 'jupyter',
    jup_direct: true,
    recommended_disk_space: 16,
  });
  add({
    name: 'vLLM',
    image: 'vllm/vllm-openai',
    runtype: 'args',
    args_str: '--model facebook/opt-125m',
    use_ssh: false,
    recommended_disk_space: 48,
  });
}

const row = (template: Template): Json => ({
  ...template.fields,
  docker_login_pass: textOf(template.fields['docker_login_pass']) === '' ? '' : '*****',
  id: template.id,
  hash_id: template.hashId,
  creator_id: template.creatorId,
  created_at: template.createdAt,
  recent_create_date: template.createdAt,
  count_created: template.countCreated,
  default_tag: template.fields['tag'],
  recommended: template.fields['recommended'] === true,
});

/** `GET /template/`: own ones and public ones. */
export function searchTemplates({ world, request }: Call): FakeAnswer {
  const { query } = request;
  const filters = parseJson(query.get('select_filters') ?? '{}');
  if (!isObject(filters)) return failure(400, 'invalid_request', 'Invalid select_filters');
  const parsed = conditionsOf(filters);
  if ('badOperator' in parsed)
    return failure(400, 'invalid_request', `${parsed.badOperator} is not a valid search op`);
  const unknown = parsed.conditions.find(({ column }) => !FILTERS.has(column));
  if (unknown !== undefined)
    return failure(
      400,
      'invalid_request',
      `Error in query parameters: ${unknown.column} is not a valid search key`,
    );
  const found = [...world.templates.values()]
    .map(row)
    .filter((one) =>
      parsed.conditions.every(({ column, operator, wanted }) =>
        passes(one[column], operator, wanted),
      ),
    );
  const order = query.get('order_by');
  const templates =
    order === null ? found : sortRows(found, [{ column: order, descending: false }]);
  return success({ templates_found: templates.length, templates });
}

const summary = ({ id, hashId, fields }: Template) => ({
  id,
  hash_id: hashId,
  name: fields['name'],
});

/** `POST /template/`: the same content twice is one template. */
export function createTemplate({ world, body }: Call): FakeAnswer {
  if (given(body, 'name') === undefined)
    return failure(400, 'invalid_args', 'Template name is required');
  if (given(body, 'image') === undefined)
    return failure(400, 'invalid_args', 'Template image is required');
  const template = addTemplate(world, body);
  return success({
    msg: `Template Created Successfully! New Template ID: ${template.id}`,
    template: summary(template),
  });
}

/** `PUT /template/`: the hash follows the content, the id stays. */
export function editTemplate({ world, body }: Call): FakeAnswer {
  const hash = textOf(given(body, 'hash_id'));
  const template = [...world.templates.values()].find(
    (one) => one.hashId === hash && one.creatorId === OWNER,
  );
  if (template === undefined) return failure(400, 'invalid_args', 'Template not found');
  template.fields = { ...template.fields, ...contentOf(body) };
  template.hashId = hashOf(template.fields, template.creatorId);
  return success({ template: summary(template) });
}

/** `DELETE /template/`: by number only. */
export function deleteTemplate({ world, body }: Call): FakeAnswer {
  const id = numberOf(given(body, 'template_id'));
  const template = id === undefined ? undefined : world.templates.get(id);
  if (template?.creatorId !== OWNER)
    return failure(400, 'invalid_args', 'template_id is required and must be one of yours');
  world.templates.delete(template.id);
  return success();
}
