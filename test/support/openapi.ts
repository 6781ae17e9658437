import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse } from 'yaml';
import type { Exchange } from './recording-proxy.ts';

type Schema = Readonly<Record<string, unknown>>;
/** Said here, or by its place among the components. */
type Parameter = { readonly name: string } | { readonly $ref: string };
interface Operation {
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: {
    readonly content?: Readonly<Record<string, { readonly schema?: Schema }>>;
  };
  readonly responses: Readonly<
    Record<string, { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> }>
  >;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components?: Schema & {
    readonly parameters?: Readonly<Record<string, { readonly name: string }>>;
  };
}

/** Where the published description is known to be wrong, and who says so. A deviation without a source is a defect. */
export interface Deviation {
  /** "PUT /api/v0/asks/{id} request" */
  readonly where: string;
  /** Begin of the JSON pointer of the place, "*" for any one part; '' for the whole body, "?name" for a parameter. */
  readonly at: string;
  /** The keyword that complains; absent: any. */
  readonly keyword?: string;
  /** "vast.md 4.1" */
  readonly source: string;
}

export interface OpenApi {
  readonly operations: readonly string[];
  /** Every complaint about this call that no deviation explains; `undefined`: the description does not know the call. */
  check(exchange: Exchange): readonly string[] | undefined;
  /** Deviations that have explained something so far: one that never does is stale. */
  readonly used: ReadonlySet<Deviation>;
}

function placeOf({ at }: Deviation): RegExp {
  return new RegExp(`^${at.replaceAll('*', '[^/]+')}(?:/|$)`);
}

/** The published description in `../shared/openapi`, `undefined` where this project stands alone. */
export function openApiOf(file: string, deviations: readonly Deviation[]): OpenApi | undefined {
  const at = path.resolve(import.meta.dirname, '../../../shared/openapi', file);
  if (!existsSync(at)) return undefined;
  const document = parse(readFileSync(at, 'utf8')) as Document;
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
  ajv.addSchema({ $id: 'api', components: document.components ?? {} });
  const compiled = new Map<string, ValidateFunction>();
  const used = new Set<Deviation>();
  const routes = Object.entries(document.paths).flatMap(([route, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${route}`,
      method: method.toUpperCase(),
      pattern: new RegExp(`^${route.replace(/\/$/, '').replaceAll(/\{[^}]+\}/g, '[^/]+')}/?$`),
      literal: !route.includes('{'),
      operation,
    })),
  );

  const complaints = (where: string, schema: Schema, value: unknown): readonly string[] => {
    let validate = compiled.get(where);
    if (validate === undefined) {
      const text = JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/');
      validate = ajv.compile(JSON.parse(text) as Schema);
      compiled.set(where, validate);
    }
    if (validate(value)) return [];
    return (validate.errors ?? []).flatMap((error) => {
      const known = deviations.find(
        (deviation) =>
          deviation.where === where &&
          placeOf(deviation).test(error.instancePath) &&
          (deviation.keyword === undefined || deviation.keyword === error.keyword),
      );
      if (known !== undefined) used.add(known);
      return known === undefined
        ? [
            `${where} ${error.instancePath || '(whole)'}: ${error.message ?? error.keyword} [${error.keyword}]`,
          ]
        : [];
    });
  };
  /** `at` of a parameter is "?name"; a status that is not described has any. */
  const isKnown = (where: string, at: string | undefined): boolean => {
    const hits = deviations.filter(
      (deviation) => deviation.where === where && (at === undefined || deviation.at === at),
    );
    for (const hit of hits) used.add(hit);
    return hits.length > 0;
  };
  const nameOf = (parameter: Parameter): string | undefined =>
    'name' in parameter
      ? parameter.name
      : document.components?.parameters?.[parameter.$ref.split('/').at(-1) ?? '']?.name;
  const jsonOf = (text: string): unknown => {
    try {
      return text === '' ? undefined : (JSON.parse(text) as unknown);
    } catch {
      return undefined;
    }
  };
  const schemaOf = (
    holder: { readonly content?: Readonly<Record<string, { readonly schema?: Schema }>> } = {},
  ): Schema | undefined => holder.content?.['application/json']?.schema;

  return {
    operations: routes.map(({ name }) => name),
    used,
    check(exchange) {
      const { pathname, searchParams } = new URL(exchange.url, 'http://x');
      const found = routes
        .filter(({ method, pattern }) => method === exchange.method && pattern.test(pathname))
        .sort((a, b) => Number(b.literal) - Number(a.literal))[0];
      if (found === undefined) return undefined;
      const { name, operation } = found;
      const asked = schemaOf(operation.requestBody);
      const sent = jsonOf(exchange.requestBody);
      const answered = schemaOf(operation.responses[String(exchange.status)]);
      const got = jsonOf(exchange.responseBody);
      const taken = new Set((operation.parameters ?? []).map(nameOf));
      return [
        ...[...searchParams.keys()]
          .filter((key) => !taken.has(key) && !isKnown(`${name} request`, `?${key}`))
          .map((key) => `${name}: the parameter ${key} is not described`),
        ...(asked === undefined || sent === undefined
          ? []
          : complaints(`${name} request`, asked, sent)),
        ...(operation.responses[String(exchange.status)] === undefined && exchange.status < 500
          ? [`${name}: status ${exchange.status} is not described`].filter(
              () => !isKnown(`${name} ${exchange.status}`, undefined),
            )
          : []),
        ...(answered === undefined || got === undefined
          ? []
          : complaints(`${name} ${exchange.status}`, answered, got)),
      ];
    },
  };
}
