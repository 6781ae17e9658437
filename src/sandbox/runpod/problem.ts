import type { FakeAnswer } from '../http.ts';

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  402: 'Payment Required',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  410: 'Gone',
  413: 'Content Too Large',
  422: 'Unprocessable Entity',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
};

/** RFC 9457, with the keys in the order of the real one. */
export function problem(status: number, detail: string, errors?: readonly string[]): FakeAnswer {
  return {
    status,
    body: {
      detail,
      ...(errors === undefined ? {} : { errors }),
      status,
      title: TITLES[status] ?? 'Error',
    },
    contentType: 'application/problem+json',
  };
}
