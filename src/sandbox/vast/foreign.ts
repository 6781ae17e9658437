import type { Json } from './answers.ts';

/** Whether `value` is a JSON object. */
export function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The object that was sent; anything else counts as `{}`, as with a DELETE that has no body. */
export const objectOf = (value: unknown): Json => (isObject(value) ? value : {});

/** A field of a body; `null` means "not given". */
export function given(body: Json, name: string): unknown {
  return Object.hasOwn(body, name) && body[name] !== null ? body[name] : undefined;
}

/** A number, also when it was sent as a string. */
export function numberOf(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || value.trim() === '') return undefined;
  const number = Number(value);
  return Number.isFinite(number) ? number : undefined;
}

export const textOf = (value: unknown): string | undefined =>
  typeof value === 'string' ? value : undefined;

export function integersOf(value: unknown): readonly number[] | undefined {
  if (!Array.isArray(value)) return undefined;
  const numbers = value.map(numberOf).filter((one) => one !== undefined && Number.isInteger(one));
  return numbers.length === value.length ? numbers.filter((one) => one !== undefined) : undefined;
}

export const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((one) => typeof one === 'string') : [];

/** JSON text from a query parameter, or `undefined` when it is none. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
