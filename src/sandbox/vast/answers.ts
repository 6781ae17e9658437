import type { FakeAnswer } from '../http.ts';

export type Json = Readonly<Record<string, unknown>>;

/** 200 with a JSON body. */
export function answer(body: unknown, status = 200): FakeAnswer {
  return { status, body };
}

export const success = (more: Json = {}): FakeAnswer => answer({ success: true, ...more });

/** The error envelope. `more` carries what some routes add, such as `ask_id` or `new_contract`. */
export function failure(status: number, error: string, msg: string, more: Json = {}): FakeAnswer {
  return { status, body: { success: false, error, msg, ...more } };
}

export const noSuchInstance = (id: number): FakeAnswer =>
  failure(404, 'no_such_instance', `Instance ${id} not found.`);
