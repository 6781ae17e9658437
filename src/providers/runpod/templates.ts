import type { CallOptions } from '../../core/call.ts';
import { InputError } from '../../core/errors.ts';
import type { CatalogApi } from './catalog-api.ts';
import type { TemplateRow } from './rows.ts';
import { startOfTemplate } from './start-command.ts';

/** PyTorch 2.8 on CUDA 12.8, kept by RunPod itself. */
export const DEFAULT_TEMPLATE = 'runpod-torch-v280';
const SSH_PORT = '22/tcp';
const HINT = `Choose another template ("${DEFAULT_TEMPLATE}" works), or give an image instead.`;

/**
 * The template with this id. Throws `invalid_input` for what can be no id, `not_found`, and `unsupported` for one of serverless
 * workers or one whose own start we cannot join and which opens no port for SSH.
 */
export async function resolveTemplate(
  api: Pick<CatalogApi, 'template'>,
  wanted: string,
  options: CallOptions,
): Promise<TemplateRow> {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{1,63}$/.test(wanted))
    throw new InputError('invalid_input', 'This can be no template id of RunPod.', {
      hint: `A template id is one word, like "${DEFAULT_TEMPLATE}". Give the name of a Docker image as image.`,
    });
  const template = await api.template(wanted, options);
  if (template === undefined)
    throw new InputError('not_found', 'RunPod has no such template that this account can use.', {
      hint: `Give the id of a template, not its name. ${HINT}`,
    });
  if (template.isServerless)
    throw new InputError('unsupported', 'This template is for serverless workers, not for pods.', {
      hint: HINT,
    });
  if (!template.ports.includes(SSH_PORT) && startOfTemplate(template).kind === 'untouchable')
    throw new InputError(
      'unsupported',
      'This template does not open 22/tcp and starts a program of its own: nothing says that SSH would ever answer.',
      {
        hint: `Add 22/tcp to the TCP ports of the template, and an SSH server to its image. ${HINT}`,
      },
    );
  return template;
}
