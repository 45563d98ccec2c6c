// Orders on their way. An intent is stored before it is sent, so that no reload and no lost answer makes two orders of one click.
//
//   sending ──► an outcome, or refused without a decision: done, forgotten
//      │
//      └──► unknown: no answer, 5xx. Sent again with the same key, then looked up, until there is an outcome or it is void.

import * as api from './api.js';
import { NoAnswer } from './api.js';
import { pause } from './dom.js';
import { kept } from './storage.js';

const PREFIX = 'intent:';
const DECISIONS = new Set([200, 402, 410, 412, 424]);
const NOTHING_DECIDED_YET = new Set(['ERR_CONTENTION', 'ERR_THROTTLED']);
const WAITS_MS = [400, 800, 1500, 3000, 5000, 8000];
const LOOKUP_EVERY_MS = 4000;
const VOIDED = { error_code: 'ERR_ORDER_VOIDED' };

/** Returns a key that nobody used before. */
export function newKey() {
  const random = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(random, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

/** The intents of this browser, for all of its tabs. */
export class Intents {
  /** `changed(intents)` shows the list; `settled(intent, outcome)` takes what became of one: { status, body, replayed }. */
  constructor(changed, settled) {
    this.changed = changed;
    this.settled = settled;
    this.own = new Map();
    globalThis.addEventListener('storage', () => this.show());
    globalThis.addEventListener('online', () => this.own.forEach((intent) => intent.wake?.()));
  }

  /** Returns the intents of an account, the oldest first. Those of another page's making are unknown. */
  of(account) {
    const stored = kept.names(PREFIX).map((name) => kept.get(name)).filter((intent) => intent?.account === account);
    return stored
      .map((intent) => this.own.get(intent.key) ?? { ...intent, state: 'unknown', reason: 'No answer has reached this page.' })
      .sort((one, other) => one.at - other.at);
  }

  show() {
    this.changed();
  }

  /** Places an order. `body`: the request's exact text. */
  async place(account, body, words) {
    const intent = { key: newKey(), account, body, words, at: Date.now() };
    kept.set(PREFIX + intent.key, intent);
    await this.send(intent);
  }

  /** Sends an intent until something is known. */
  async send(intent) {
    const sent = this.own.get(intent.key) ?? { ...intent };
    if (sent.busy) return;
    const wasUnknown = intent.state === 'unknown';
    Object.assign(sent, { busy: true, state: wasUnknown ? 'unknown' : 'sending', attempts: 0 });
    this.own.set(sent.key, sent);
    this.show();
    let answer;
    for (const wait_ms of [...WAITS_MS, null]) {
      sent.attempts += 1;
      answer = await this.answerTo(sent, () => api.execute(sent.body, sent.key));
      if (!this.own.has(sent.key)) return; // a void settled it meanwhile
      if (answer && (DECISIONS.has(answer.status) || (answer.status < 500 && sent.state === 'sending' && !retryable(answer)))) {
        this.finish(sent, answer);
        return;
      }
      if (answer && answer.status < 500 && !retryable(answer)) break; // refused now, but an earlier request may yet be decided
      if (wait_ms === null || sent.voiding) break;
      await sleep(sent, Math.max(wait_ms, answer?.retryAfter_ms ?? 0));
      if (!this.own.has(sent.key)) return;
    }
    if (sent.state === 'sending') {
      this.finish(sent, answer); // every attempt was answered, so nothing was decided
      return;
    }
    sent.busy = false;
    this.show();
    this.watch(sent);
  }

  /** Looks an unknown intent up, now and then, until it is settled. A look-up never executes. */
  async watch(intent) {
    const watched = this.own.get(intent.key) ?? { ...intent };
    this.own.set(watched.key, watched);
    if (watched.watching) return;
    watched.watching = true;
    while (this.own.has(watched.key) && kept.get(PREFIX + watched.key)) {
      if (!watched.busy && !watched.voiding) {
        const answer = await this.answerTo(watched, () => api.lookup(watched.account, watched.key));
        if (!this.own.has(watched.key)) return;
        if (answer?.status === 200) {
          this.finish(watched, outcomeOf(answer.body));
          return;
        }
        if (answer?.body.error_code === 'ERR_ORDER_NOT_FOUND') watched.reason = 'Nothing is stored under its key yet.';
        this.show();
      }
      await sleep(watched, LOOKUP_EVERY_MS);
    }
    this.own.delete(watched.key);
    this.show();
  }

  /** Makes sure that an intent never executes, or learns that it did. */
  async void(intent) {
    const voided = this.own.get(intent.key) ?? { ...intent };
    this.own.set(voided.key, voided);
    if (voided.voiding) return;
    voided.voiding = true;
    this.show();
    const answer = await this.answerTo(voided, () => api.makeVoid(voided.account, voided.key));
    voided.voiding = false;
    if (!this.own.has(voided.key)) return;
    if (answer?.status === 200) this.finish(voided, { status: 410, body: VOIDED });
    else if (answer?.body.error_code === 'ERR_ORDER_DECIDED') this.finish(voided, outcomeOf(answer.body.order));
    else {
      this.show();
      this.watch(voided);
    }
  }

  async answerTo(intent, ask) {
    try {
      const answer = await ask();
      if (answer.status >= 500) Object.assign(intent, { state: 'unknown', reason: `The engine answered ${answer.status}.` });
      else if (!DECISIONS.has(answer.status)) intent.reason = answer.body.message ?? `The engine answered ${answer.status}.`;
      return answer;
    } catch (error) {
      if (!(error instanceof NoAnswer)) throw error;
      Object.assign(intent, { state: 'unknown', reason: `${error.message}.` });
      return null;
    } finally {
      this.show();
    }
  }

  finish(intent, outcome) {
    kept.remove(PREFIX + intent.key);
    this.own.delete(intent.key);
    intent.wake?.();
    this.show();
    this.settled(intent, outcome);
  }
}

const retryable = (answer) => NOTHING_DECIDED_YET.has(answer.body.error_code) || answer.status === 429;

/** Returns what `execute` would answer, from a record. */
function outcomeOf({ kind, status, reply }) {
  const isVoid = kind === 'void';
  return { status: isVoid ? 410 : status, body: isVoid ? VOIDED : reply, replayed: true };
}

/** Waits, unless the network comes back or the intent is settled before. */
async function sleep(intent, time_ms) {
  await Promise.race([pause(time_ms), new Promise((resolve) => { intent.wake = resolve; })]);
}
