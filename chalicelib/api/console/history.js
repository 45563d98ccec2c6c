// The history: every decision in rows read from the stored text, and its verification.

import * as api from './api.js';
import { exact, sign, signed, usd } from './amount.js';
import { $, h, pause, say } from './dom.js';
import { factsOf, row } from './records.js';
import { kept } from './storage.js';
import { Broken, verify } from './verify.js';

const PAGE = 20;
const TRIES = 4;
const AT = new Intl.DateTimeFormat(undefined, {
  day: '2-digit', month: 'short', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
});

export class History {
  constructor(session) {
    this.session = session;
    this.rows = new Map();
    $('older').addEventListener('click', () => this.older());
    $('verify').addEventListener('click', () => this.verify());
    this.clear();
  }

  clear() {
    this.rows = new Map();
    this.before = null;
    $('history').replaceChildren();
    $('verdict').dataset.tone = 'plain';
    const last = this.last;
    say($('verdict-text'), last
      ? `This browser verified 1 \u2026 ${last.sequence} before. Verify goes on from there.`
      : 'Every decision is a link of a chain. Verify recomputes all of them in this browser.');
    $('verdict-more').replaceChildren();
  }

  get last() {
    return kept.get(`verified:${this.session.account}`);
  }

  /** Loads the newest page. What is shown already stays, where no decision is missing in between. */
  async load() {
    const account = this.session.account;
    const page = await api.history(account, `limit=${PAGE}`);
    if (account !== this.session.account) return;
    const lowest = Math.min(...page.records.map((record) => record.sequence));
    const follows = this.rows.has(lowest) || this.rows.has(lowest - 1);
    const differs = page.records.some(({ sequence, head }) => (this.rows.get(sequence)?.head ?? head) !== head);
    if (!follows || differs || Math.max(...this.rows.keys()) > page.sequence) {
      this.rows = new Map();
      this.before = page.next;
    }
    this.add(page);
  }

  async older() {
    const account = this.session.account;
    $('older').disabled = true;
    try {
      const page = await api.history(account, `limit=${PAGE}&${this.before}`);
      if (account !== this.session.account) return;
      this.before = page.next;
      this.add(page);
    } finally {
      $('older').disabled = false;
    }
  }

  add(page) {
    for (const record of page.records) this.rows.set(record.sequence, record);
    const list = $('history');
    const shown = new Map([...list.children].map((item) => [item.dataset.head, item]));
    const records = [...this.rows.values()].sort((one, other) => other.sequence - one.sequence);
    list.replaceChildren(...records.map((record) => shown.get(record.head) ?? item(record)));
    $('older').hidden = this.before === null;
    $('no-history').hidden = records.length > 0;
    say($('no-history'), 'No decisions yet.');
  }

  /** Verifies the history from where this browser last came to, or `again` from 1. */
  async verify(again = false) {
    if (this.verifying) return;
    this.verifying = true;
    const account = this.session.account;
    const bar = $('verify-progress');
    bar.hidden = false;
    bar.removeAttribute('value');
    $('verify').disabled = true;
    $('verdict-more').replaceChildren();
    this.verdict('plain', 'Verifying \u2026');
    let done = 0;
    try {
      const verified = await verify(account, this.last, again, patient(account), (sequence, end) => {
        done = sequence;
        bar.max = end || 1;
        bar.value = sequence;
      });
      if (verified.sequence) kept.set(`verified:${account}`, { sequence: verified.sequence, head: verified.head });
      if (account === this.session.account) this.pass(verified);
    } catch (error) {
      if (account !== this.session.account) return;
      if (error instanceof Broken) this.fail(error);
      else this.verdict('warn', `Not finished: ${error.message}. ${done ? `1 \u2026 ${done} verified so far.` : ''}`);
    } finally {
      this.verifying = false;
      bar.hidden = true;
      $('verify').disabled = false;
    }
  }

  pass({ sequence, head, from }) {
    if (sequence === 0) {
      this.verdict('good', 'Nothing is decided yet: an empty history.');
      return;
    }
    this.verdict('good', `${sequence === 1 ? '1' : `1 \u2026 ${sequence}`} verified, head matches`);
    $('verdict-more').replaceChildren(
      h('code', { title: head }, head.slice(0, 16)),
      from ? ` ${from === sequence ? 'nothing new since' : `new: ${from + 1} \u2026 ${sequence}, on top of`} 1 \u2026 ${from}. ` : ' ',
      from ? h('button', { type: 'button', class: 'link', onclick: () => this.verify(true) }, 'From 1 again') : '',
    );
  }

  fail(broken) {
    this.verdict('bad', broken.message);
    const last = this.last;
    $('verdict-more').replaceChildren(
      ...(last ? [`Verified before: 1 \u2026 ${last.sequence}, head `, h('code', { title: last.head }, last.head.slice(0, 16)), '. ',
        h('button', { type: 'button', class: 'link', onclick: () => this.forget() }, 'Forget that, and begin anew')] : []),
    );
    [...$('history').children].forEach((each) => each.classList.toggle('broken', Number(each.dataset.sequence) === broken.sequence));
  }

  forget() {
    kept.remove(`verified:${this.session.account}`);
    this.clear();
    this.load();
  }

  verdict(tone, text) {
    $('verdict').dataset.tone = tone;
    say($('verdict-text'), text);
  }
}

/** Reads for the verification; asks again where no answer comes. */
function patient(account) {
  const again = async (read) => {
    for (let left = TRIES; ; left--) {
      try {
        return await read();
      } catch (error) {
        if (!(error instanceof api.NoAnswer) || left === 1) throw error;
        await pause(500);
      }
    }
  };
  return {
    portfolio: () => again(() => api.portfolio(account)),
    page: (after, limit) => again(() => api.history(account, `after=${after}&limit=${limit}`)),
  };
}

/** Returns the row of a record. */
function item(record) {
  let facts;
  let shown;
  try {
    facts = factsOf(record.record);
    shown = row(facts);
  } catch {
    facts = { sequence: record.sequence, key: '', at: null };
    shown = { tone: 'refused', label: 'Unreadable', title: 'A record of an unknown form', detail: '', changes: [] };
  }
  const changes = shown.changes.map(([symbol, amount]) =>
    h('span', { class: sign(amount) < 0 ? 'given' : '' }, `${signed(symbol === 'USD' ? usd(amount) : exact(amount))} `, h('small', {}, symbol)));
  const element = h('li', { class: shown.tone },
    h('details', {},
      h('summary', {},
        h('span', { class: 'number' }, String(facts.sequence)),
        h('span', { class: 'what' }, h('b', { class: 'label' }, shown.label), ` ${shown.title}`, shown.detail && h('small', {}, shown.detail)),
        h('span', { class: 'changes' }, ...changes),
        facts.at ? h('time', { datetime: facts.at, title: facts.at }, AT.format(new Date(facts.at))) : h('span')),
      h('dl', { class: 'link-of-chain' },
        h('div', {}, h('dt', {}, 'Key'), h('dd', {}, h('code', {}, facts.key))),
        h('div', {}, h('dt', {}, 'Stored text'), h('dd', {}, h('code', {}, record.record))),
        h('div', {}, h('dt', {}, 'Head'), h('dd', {}, h('code', {}, record.head))))));
  element.dataset.head = record.head;
  element.dataset.sequence = facts.sequence;
  return element;
}
