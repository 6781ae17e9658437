import type { CallOptions } from '../../core/call.ts';
import { type Catalog, catalogOfGraphql, catalogOfRest } from './catalog.ts';
import { CATALOG_QUERY, TEMPLATE_QUERY } from './documents.ts';
import { goneIfTold } from './pod-api.ts';
import { type TemplateRow, templateOfRest } from './rows.ts';
import type { Transport } from './transport.ts';
import { graphqlCatalogSchema, graphqlTemplateSchema } from './wire.ts';
import {
  restDataCentersSchema,
  restGpusSchema,
  restTemplateSchema,
  restTemplatesSchema,
} from './wire-rest.ts';

/** What RunPod sells. GPUs and places come in one question; no key is needed for it, so none of it tells about the account. */
export interface CatalogApi {
  catalog(gpuCount: number, options: CallOptions): Promise<Catalog>;
  /** `undefined`: there is none, or it is not ours to use. */
  template(id: string, options: CallOptions): Promise<TemplateRow | undefined>;
}

export function createCatalogApi({ graphql, rest, first }: Transport): CatalogApi {
  async function restTemplate(id: string, options: CallOptions): Promise<TemplateRow | undefined> {
    const what = 'The template';
    const own = { what, method: 'GET', path: `/templates/${encodeURIComponent(id)}` } as const;
    const mine = await rest({ ...own, schema: restTemplateSchema }, options).catch(goneIfTold);
    if (mine !== undefined) return templateOfRest(mine);
    const shared = { what, method: 'GET', path: '/catalog/templates' } as const;
    const { templates } = await rest({ ...shared, schema: restTemplatesSchema }, options);
    const found = templates.find((each) => each.id === id);
    return found === undefined ? undefined : templateOfRest(found);
  }

  return {
    async catalog(gpuCount, options) {
      const what = 'The list of offers';
      return first(what, [
        [
          'graphql',
          async () => {
            const variables = {
              secure: { gpuCount, secureCloud: true },
              community: { gpuCount, secureCloud: false, supportPublicIp: true },
            };
            const order = { what, document: CATALOG_QUERY, variables };
            return catalogOfGraphql(
              await graphql({ ...order, schema: graphqlCatalogSchema }, options),
            );
          },
        ],
        [
          'v2',
          async () => {
            const gpusIn = async (cloud: 'SECURE' | 'COMMUNITY') => {
              const query = {
                include: 'AVAILABILITY',
                product: 'POD',
                count: String(gpuCount),
                cloud,
              };
              const order = { what, method: 'GET', path: '/catalog/gpus', query } as const;
              return (await rest({ ...order, schema: restGpusSchema }, options)).gpus;
            };
            const centers = { what, method: 'GET', path: '/catalog/datacenters' } as const;
            const [secure, community, { dataCenters }] = await Promise.all([
              gpusIn('SECURE'),
              gpusIn('COMMUNITY'),
              rest({ ...centers, schema: restDataCentersSchema }, options),
            ]);
            return catalogOfRest({ secure, community }, dataCenters);
          },
        ],
      ]);
    },
    async template(id, options) {
      const what = 'The template';
      return first(what, [
        [
          'graphql',
          async () => {
            const order = { what, document: TEMPLATE_QUERY, variables: { id } };
            const { podTemplate } = await graphql(
              { ...order, schema: graphqlTemplateSchema },
              options,
            );
            return podTemplate === null ? undefined : templateOfGraphql(podTemplate);
          },
        ],
        ['v2', async () => restTemplate(id, options)],
      ]);
    },
  };
}

function templateOfGraphql(
  template: NonNullable<ReturnType<typeof graphqlTemplateSchema.parse>['podTemplate']>,
): TemplateRow {
  return {
    id: template.id,
    image: template.imageName ?? '',
    startCommand: template.dockerArgs ?? '',
    env: Object.fromEntries(template.env.map(({ key, value }) => [key, value])),
    ports: (template.ports ?? '')
      .split(',')
      .map((port) => port.trim())
      .filter((port) => port !== ''),
    containerDiskGb: template.containerDiskInGb ?? 0,
    volumeMountPath: template.volumeMountPath ?? undefined,
    isServerless: template.isServerless === true,
  };
}
