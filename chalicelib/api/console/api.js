// Requests to the engine. A status is an answer; an answer that did not arrive raises NoAnswer.

import { ROOT, tab } from './storage.js';

const TIMEOUT_MS = 30_000; // API Gateway gives up a second earlier

/** Nothing arrived that the engine can have said: what became of the request is unknown. */
export class NoAnswer extends Error {}

/** An answer that is not the one hoped for. */
export class Refused extends Error {
  constructor(answer) {
    super(answer.body.message);
    this.status = answer.status;
    this.code = answer.body.error_code;
  }
}

export const token = {
  get: () => tab.get('token'),
  set: (value) => (value ? tab.set('token', value) : tab.remove('token')),
};

/** The engine's time less this machine's, from the answers' dates. */
export const clock = { offset_ms: 0, now: () => Date.now() + clock.offset_ms };

/** Sends a request. Returns { status, body, replayed, retryAfter_ms }. */
export async function call(method, path, { body, key, signal, timeout_ms = TIMEOUT_MS } = {}) {
  const headers = { Accept: 'application/json' };
  if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  if (key !== undefined) headers['X-Idempotency-Key'] = key;
  const patience = AbortSignal.timeout(timeout_ms);
  const limits = signal ? AbortSignal.any([signal, patience]) : patience;
  let response;
  let answer;
  try {
    response = await fetch(new URL(path, ROOT), { method, headers, body, signal: limits, cache: 'no-store', credentials: 'omit' });
    answer = JSON.parse(await response.text());
    if (typeof answer !== 'object' || answer === null) throw new TypeError('no answer of the engine');
  } catch (error) {
    if (signal?.aborted) throw error;
    const reached = response ? 'What answered is not the engine' : 'The engine could not be reached';
    throw new NoAnswer(patience.aborted ? 'The engine did not answer in time' : reached);
  }
  const date = Date.parse(response.headers.get('Date'));
  if (Math.abs(date + 500 - clock.now()) > 1500) clock.offset_ms = date + 500 - Date.now();
  return {
    status: response.status,
    body: answer,
    replayed: response.headers.get('Idempotent-Replayed') === 'true',
    retryAfter_ms: 1000 * Number(response.headers.get('Retry-After') ?? 0),
  };
}

/** Returns the body of a 200. */
async function read(path, options) {
  const answer = await call('GET', path, options);
  if (answer.status === 200) return answer.body;
  throw answer.status >= 500 ? new NoAnswer(answer.body.message ?? `Status ${answer.status}`) : new Refused(answer);
}

const TRADING = 'api/v1/trading';

export const assets = () => read(`${TRADING}/assets`, { timeout_ms: 10_000 });
export const portfolio = (account) => read(`${TRADING}/portfolio/${account}`, { timeout_ms: 15_000 });
export const history = (account, query) => read(`${TRADING}/history/${account}?${query}`, { timeout_ms: 15_000 });
export const candles = (symbol, interval, limit, signal) =>
  read(`${TRADING}/candles/${symbol}?interval=${interval}&limit=${limit}`, { timeout_ms: 15_000, signal });
export const preview = (body, signal) => call('POST', `${TRADING}/preview`, { body, signal, timeout_ms: 15_000 });
export const execute = (body, key) => call('POST', `${TRADING}/execute`, { body, key });
export const lookup = (account, key) =>
  call('GET', `${TRADING}/orders/${account}/lookup?idempotency_key=${encodeURIComponent(key)}`, { timeout_ms: 15_000 });
export const makeVoid = (account, key) =>
  call('POST', `${TRADING}/orders/${account}/void`, { body: JSON.stringify({ idempotency_key: key }) });
