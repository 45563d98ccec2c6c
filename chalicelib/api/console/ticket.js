// The order ticket: what is asked for, what it would come to, and what became of it.

import * as api from './api.js';
import { exact, sign, usd } from './amount.js';
import { $, debounced, h, say } from './dom.js';
import { Intents } from './intents.js';
import { orderInWords } from './records.js';

const QUANTITY = /^\d+(\.\d{1,8})?$/;
const PRICE = /^\d+(\.\d{1,16})?$/;
const PREVIEW_PAUSE_MS = 220;
const SENT = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const INERT_MS = 900; // after an outcome: the second click of a double click may come that late

export class Ticket {
  constructor(session, markets, changed) {
    Object.assign(this, { session, markets, changed, balances: {} });
    this.form = $('order');
    this.intents = new Intents(() => this.showPending(), (intent, outcome) => this.settled(intent, outcome));
    this.previewSoon = debounced(() => this.preview(), PREVIEW_PAUSE_MS);
    this.form.addEventListener('input', (event) => this.edited(event));
    this.form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.submit();
    });
    this.edited();
  }

  get side() { return this.form.elements.side.value; }
  get measure() { return this.form.elements.measure.value; }
  get symbol() { return $('symbol').value; }
  get other() { return $('other').value; }

  /** Fills the choices of assets; keeps what is chosen. */
  offer() {
    const symbols = this.markets.assets.map((asset) => asset.symbol);
    const traded = this.markets.traded.map((asset) => asset.symbol);
    const change = options($('symbol'), traded, this.markets.symbol);
    const other = options($('other'), symbols.filter((symbol) => symbol !== this.symbol), 'USD');
    if (change || other) {
      this.edited();
      return;
    }
    $('preview').ariaLive = 'off'; // a moving price is not read out every time
    this.previewSoon();
  }

  choose(symbol) {
    $('symbol').value = symbol;
    options($('other'), this.markets.assets.map((asset) => asset.symbol).filter((each) => each !== symbol), 'USD');
    this.edited();
  }

  take(side) {
    this.form.elements.side.value = side;
    this.edited();
    (this.measure === 'all' ? $('submit') : $('size')).focus();
  }

  edited(event) {
    if (event?.target === $('symbol')) this.markets.choose(this.symbol);
    const buys = this.side === 'buy';
    $('by-amount').hidden = !buys;
    if (!buys && this.measure === 'notional') this.form.elements.measure.value = 'quantity';
    const spends = this.measure === 'notional';
    const unit = spends ? this.other : this.symbol;
    say($('other-label'), buys ? 'Pay with' : 'Receive');
    say($('size-label'), spends ? 'Amount, fee included' : 'Quantity');
    say($('size-unit'), unit);
    $('size-field').hidden = this.measure === 'all';
    say($('limit-unit'), this.other);
    say($('limit-label'), buys ? 'Pay at most' : 'Receive at least');
    this.hint();
    this.button();
    $('preview').ariaLive = 'polite';
    this.previewSoon();
  }

  hint() {
    const given = this.side === 'buy' ? this.other : this.symbol;
    const held = this.balances[given];
    say($('size-hint'), held === undefined ? '' : `${this.measure === 'all' ? 'All of' : 'You have'} ${shown(held, given)}`);
  }

  button() {
    const button = $('submit');
    button.className = `submit ${this.side}`;
    button.disabled = this.busy || !this.symbol;
    say(button, this.alarmed ? 'Waiting for the outcome above' : this.pending.length ? 'Sending' : this.wish());
  }

  /** Returns the order in short: 'Buy 0.25 BTC'. */
  wish() {
    const verb = this.side === 'buy' ? 'Buy' : 'Sell';
    if (this.measure === 'all') return this.side === 'buy' ? `Buy ${this.symbol} with all ${this.other}` : `Sell all ${this.symbol}`;
    const terms = this.terms();
    if (!terms) return `${verb} ${this.symbol}`;
    return terms.notional ? `Buy ${shown(terms.notional, this.other)} of ${this.symbol}` : `${verb} ${shown(terms.quantity, this.symbol)}`;
  }

  get pending() {
    return this.intents.of(this.session.account);
  }

  get busy() {
    return Boolean(this.inert) || this.pending.length > 0;
  }

  /** Returns the order's terms as the contract takes them; null while the form is not complete. */
  terms() {
    const size = $('size').value.trim();
    const limit = $('limit').value.trim();
    if (!this.symbol || !this.other) return null;
    if (this.measure !== 'all' && !(QUANTITY.test(size) && sign(size) > 0)) return null;
    if (limit && !PRICE.test(limit)) return null;
    const buys = this.side === 'buy';
    return {
      side: this.side,
      symbol: this.symbol,
      [buys ? 'pay_with' : 'receive']: this.other,
      [buys && this.measure !== 'quantity' ? 'notional' : 'quantity']: this.measure === 'all' ? 'all' : size,
      ...(limit && { limit_price: limit }),
    };
  }

  /** Says what keeps the form from being an order; '' where nothing does. */
  flaw() {
    const size = $('size').value.trim();
    const limit = $('limit').value.trim();
    if (this.measure !== 'all') {
      if (!size) return `Enter ${this.measure === 'notional' ? 'an amount' : 'a quantity'}.`;
      if (!QUANTITY.test(size)) return 'Digits and one point, with at most 8 decimals: 1250.5';
      if (sign(size) === 0) return 'More than 0.';
    }
    return limit && !PRICE.test(limit) ? 'The limit: digits and one point, with at most 16 decimals.' : '';
  }

  body() {
    const terms = this.terms();
    return terms && JSON.stringify({ user_id: this.session.account, ...terms });
  }

  async preview() {
    this.asking?.abort();
    const body = this.body();
    if (!body) {
      const size = $('size').value.trim();
      this.lines(size && !/^\d+\.$/.test(size) ? [h('p', { class: 'refusal' }, this.flaw())] : []);
      return;
    }
    this.asking = new AbortController();
    const { signal } = this.asking;
    try {
      const answer = await api.preview(body, signal);
      if (signal.aborted || body !== this.body()) return;
      if (answer.status === 200) this.lines(expected(answer.body));
      else this.lines([h('p', { class: 'refusal' }, answer.body.message)]);
    } catch (error) {
      if (!signal.aborted) this.lines([h('p', { class: 'refusal' }, `No preview: ${error.message}.`)]);
    }
  }

  /** Shows the preview, unless it is what is shown already: a screen reader would repeat it. */
  lines(children) {
    const fresh = h('div', {}, ...children);
    if ($('preview').innerHTML !== fresh.innerHTML) $('preview').replaceChildren(...fresh.childNodes);
  }

  submit() {
    if (this.busy) return;
    const flaw = this.flaw();
    if (flaw) {
      this.lines([h('p', { class: 'refusal' }, flaw)]);
      (this.measure === 'all' ? $('limit') : $('size')).focus();
      return;
    }
    $('outcome').replaceChildren();
    this.intents.place(this.session.account, this.body(), orderInWords(this.terms()));
    this.button();
  }

  showPending() {
    const unknown = this.pending.filter((intent) => intent.state === 'unknown');
    const cards = unknown.map((intent) => this.card(intent));
    const fresh = h('div', {}, ...cards);
    const box = $('pending');
    if (box.innerHTML !== fresh.innerHTML) {
      const focused = [...box.querySelectorAll('button')].indexOf(document.activeElement);
      box.replaceChildren(...fresh.childNodes);
      if (focused >= 0) box.querySelectorAll('button')[focused]?.focus();
    }
    if (unknown.length && !this.alarmed) say($('outcome'), '');
    this.alarmed = unknown.length > 0;
    this.button();
  }

  card(intent) {
    const attempt = intent.busy && `Asking again with the same key (attempt ${intent.attempts + 1}) \u2026`;
    const now = intent.voiding ? 'Voiding \u2026' : attempt || 'Looking it up every few seconds.';
    const button = (label, disabled, work) => h('button', { type: 'button', class: 'secondary', disabled, onclick: work }, label);
    return h('div', { class: 'pending' },
      h('h3', {}, 'Outcome unknown'),
      h('p', { class: 'order' }, `${intent.words}, sent ${SENT.format(intent.at)}`),
      h('p', {}, `${intent.reason} It may have been executed once; with its key it never executes twice. ${now}`),
      h('div', { class: 'actions' },
        button('Send again', intent.busy || intent.voiding, () => this.intents.send(intent)),
        button('Void', intent.voiding, () => this.intents.void(intent))));
  }

  /** Begins with another account. */
  restart() {
    this.intents.own.clear();
    $('outcome').replaceChildren();
    this.attend();
    this.showPending();
  }

  /** Takes up what an earlier page, or another tab, left behind: looks it up, and never sends it by itself. */
  attend() {
    for (const intent of this.pending) {
      if (!this.intents.own.has(intent.key)) this.intents.watch(intent);
    }
  }

  settled(intent, outcome) {
    if (intent.account !== this.session.account) return;
    const { tone, title, text } = became(outcome);
    $('outcome').replaceChildren(
      h('div', { class: `result ${tone}` },
        h('h3', {}, title),
        h('p', {}, text),
        outcome.replayed && h('p', { class: 'note' }, 'Found under its key: decided once.')),
    );
    if (outcome.status === 200) {
      $('size').value = '';
      if (this.measure === 'all') this.form.elements.measure.value = 'quantity';
    }
    clearTimeout(this.inert);
    this.inert = setTimeout(() => {
      this.inert = null;
      this.button();
    }, INERT_MS);
    this.edited();
    this.changed();
  }
}

const shown = (amount, symbol) => `${symbol === 'USD' ? usd(amount) : exact(amount)} ${symbol}`;

/** Returns the lines of a preview. */
function expected({ would, reply }) {
  if (would !== 'ORDER_FILLED') {
    return [h('p', { class: 'refusal' }, h('b', {}, 'Would be refused. '), `${reply.message}.`)];
  }
  const buys = reply.side === 'buy';
  const other = buys ? reply.paid_with : reply.received;
  const given = buys ? other : reply.symbol;
  const pair = (name, value) => h('div', {}, h('dt', {}, name), h('dd', {}, value));
  return [h('dl', { class: 'pairs' },
    pair(buys ? 'You get' : 'You sell', shown(reply.quantity_filled, reply.symbol)),
    pair('Price', shown(reply.execution_price, other)),
    pair('Fee', shown(reply.fee, other)),
    h('div', { class: 'sum' }, h('dt', {}, buys ? 'You pay' : 'You receive'), h('dd', {}, shown(reply.total_cost ?? reply.total_proceeds, other))),
    pair(`${given} left`, shown(reply.remaining_balance, given)))];
}

/** Returns an outcome in words. */
function became({ status, body }) {
  if (status === 200) {
    const other = body.paid_with ?? body.received;
    const buys = body.side === 'buy';
    const moved = shown(body.total_cost ?? body.total_proceeds, other);
    return {
      tone: 'good',
      title: `${buys ? 'Bought' : 'Sold'} ${shown(body.quantity_filled, body.symbol)}`,
      text: `for ${moved} at ${exact(body.execution_price, 2)}. Number ${body.sequence} of this account.`,
    };
  }
  if (body.error_code === 'ERR_ORDER_VOIDED') return { tone: 'plain', title: 'Voided', text: 'It was not executed, and never will be.' };
  const decided = [402, 410, 412, 424].includes(status);
  return { tone: 'bad', title: decided ? 'Refused' : 'Not accepted', text: `${body.message ?? `The engine answered ${status}`}.` };
}

/** Offers symbols in a choice; keeps the chosen one where it can. Returns whether anything changed. */
function options(select, symbols, preferred) {
  if ([...select.options].map((option) => option.value).join() === symbols.join()) return false;
  const chosen = select.value;
  select.replaceChildren(...symbols.map((symbol) => h('option', { value: symbol }, symbol)));
  select.value = symbols.includes(chosen) ? chosen : symbols.includes(preferred) ? preferred : symbols[0] ?? '';
  return true;
}
