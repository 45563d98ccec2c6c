// A decision in words and figures, read from the text that was stored and hashed, and from nothing else.

import { exact, negated, price as shownPrice, quotient, sign, usd } from './amount.js';

const BEGINNING = /^\{"v":2,"user_id":(\d+),"sequence":(\d+),/;

/** Returns a record's facts; the account's number as text, since JavaScript rounds large integers. */
export function factsOf(record) {
  const found = BEGINNING.exec(record);
  if (!found) throw new RangeError('a record of an unknown form');
  return { ...JSON.parse(record), user_id: found[1] };
}

/** Names the first field of a shown record that its text does not bear out; null where all agree. */
export function firstUntrue(shown, facts) {
  const pairs = {
    sequence: [shown.sequence, facts.sequence],
    idempotency_key: [shown.idempotency_key, facts.key],
    kind: [shown.kind, facts.kind],
    outcome: [shown.outcome, facts.outcome],
    decided_at: [shown.decided_at, facts.at],
    order: [shown.order, facts.terms],
    transfer: [shown.transfer, facts.kind === 'transfer' ? { symbol: facts.symbol, amount: facts.amount } : undefined],
    'reply.balances': [shown.reply.balances, facts.balances],
    'reply.balance': [shown.reply.balance, facts.balance],
    'reply.outcome': [shown.reply.error_code ?? shown.reply.status, facts.outcome],
  };
  return Object.keys(pairs).find((name) => canonical(pairs[name][0]) !== canonical(pairs[name][1])) ?? null;
}

function canonical(value) {
  return JSON.stringify(value, (_, inner) =>
    (inner && typeof inner === 'object' && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort()) : inner));
}

const amount = (text, symbol) => `${symbol === 'USD' ? usd(text) : exact(text)} ${symbol}`;

/** Returns the other asset of an order's terms. */
export const otherOf = (terms) => terms.pay_with ?? terms.receive;

/** Returns an order in words: 'Buy 0.5 BTC with USD'. */
export function orderInWords(terms) {
  const buys = terms.side === 'buy';
  const end = `${terms.limit_price ? `, at ${exact(terms.limit_price, 2)} or better` : ''}`;
  if (terms.notional) {
    const spent = terms.notional === 'all' ? `all ${terms.pay_with}` : amount(terms.notional, terms.pay_with);
    return `Buy ${terms.symbol} for ${spent}${end}`;
  }
  const quantity = terms.quantity === 'all' ? `all ${terms.symbol}` : amount(terms.quantity, terms.symbol);
  return `${buys ? 'Buy' : 'Sell'} ${quantity} ${buys ? 'with' : 'for'} ${otherOf(terms)}${end}`;
}

/** Returns a decision as a row shows it: { tone, label, title, detail, changes: [[symbol, amount], …] }. */
export function row(facts) {
  switch (facts.outcome) {
    case 'ORDER_FILLED': {
      const { symbol, side } = facts.terms;
      const other = otherOf(facts.terms);
      const price = quotient(facts.prices[symbol][0], facts.prices[other][0]);
      const fee = facts.fee ? `, fee ${amount(facts.fee, other)}` : '';
      const moved = facts.changes[symbol];
      return {
        tone: side === 'buy' ? 'up' : 'down',
        label: side === 'buy' ? 'Bought' : 'Sold',
        title: amount(sign(moved) < 0 ? negated(moved) : moved, symbol),
        detail: `at ${shownPrice(price)} ${other}${fee}`,
        changes: Object.entries(facts.changes),
      };
    }
    case 'ACCOUNT_FUNDED':
    case 'ACCOUNT_DEBITED': {
      const isIn = facts.outcome === 'ACCOUNT_FUNDED';
      return {
        tone: 'plain',
        label: isIn ? 'Deposit' : 'Withdrawal',
        title: amount(facts.amount, facts.symbol),
        detail: `balance ${amount(facts.balance, facts.symbol)}`,
        changes: [[facts.symbol, isIn ? facts.amount : negated(facts.amount)]],
      };
    }
    case 'ORDER_VOIDED':
      return { tone: 'void', label: 'Voided', title: 'Its key never executes', detail: '', changes: [] };
    default:
      return { tone: 'refused', label: 'Refused', title: orderInWords(facts.terms), detail: reason(facts), changes: [] };
  }
}

function reason(facts) {
  const { terms } = facts;
  const given = terms.side === 'buy' ? terms.pay_with : terms.symbol;
  switch (facts.outcome) {
    case 'ERR_LIQUIDITY': {
      const held = `there were ${amount(facts.held, given)}`;
      const why = facts.needed ? `Not enough: needed ${amount(facts.needed, given)}, ${held}` : `Nothing to trade: ${held}`;
      return facts.unfunded ? `${why}; never funded` : why;
    }
    case 'ERR_ORDER_EXPIRED':
      return `Expired at ${terms.expires_at}`;
    case 'ERR_PRICE_LIMIT':
      return `Beyond its limit: the market was at ${shownPrice(quotient(facts.prices[terms.symbol][0], facts.prices[otherOf(terms)][0]))}`;
    case 'ERR_LINKED_ORDER':
      return `Another order of its batch did not fill (number ${facts.failed + 1})`;
    default:
      return facts.outcome;
  }
}
