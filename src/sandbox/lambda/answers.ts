import type { FakeAnswer } from '../http.ts';

/** 200 with the envelope of a success. */
export function data(payload: unknown): FakeAnswer {
  return { status: 200, body: { data: payload } };
}

/** The envelope of an error. */
export function refusal(
  status: number,
  code: string,
  message: string,
  suggestion?: string,
): FakeAnswer {
  return {
    status,
    body: { error: { code, message, ...(suggestion === undefined ? {} : { suggestion }) } },
  };
}

export const badKey = (): FakeAnswer =>
  refusal(
    401,
    'global/invalid-api-key',
    'API key was invalid, expired, or deleted.',
    'Check your API key or create a new one, then try again.',
  );
export const inactive = (): FakeAnswer =>
  refusal(
    403,
    'global/account-inactive',
    'Your account is inactive.',
    'Make sure you have verified your email address and have a valid payment method. Contact Support if problems continue.',
  );
export const invalid = (message = 'Invalid request data.'): FakeAnswer =>
  refusal(400, 'global/invalid-parameters', message);
export const missing = (message: string): FakeAnswer =>
  refusal(404, 'global/object-does-not-exist', message, 'Check the value and try again.');
export const noSuchInstance = (): FakeAnswer => missing('Specified instance does not exist.');
export const noCapacity = (): FakeAnswer =>
  refusal(
    400,
    'instance-operations/launch/insufficient-capacity',
    'Not enough capacity to fulfill launch request.',
    'Choose an instance type with more availability, or try again later.',
  );
export const noQuota = (): FakeAnswer =>
  refusal(
    400,
    'global/quota-exceeded',
    'Quota exceeded.',
    'Contact Support to increase your quota.',
  );
export const serverError = (): FakeAnswer =>
  refusal(500, 'global/internal-error', 'An internal server error occurred.');
