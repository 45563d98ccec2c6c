// The portfolio: its value and its positions.

import * as api from './api.js';
import { exact, percent, price as shownPrice, rounded, sign, signed, sum, tone, units, usd } from './amount.js';
import { $, h, say } from './dom.js';

export class Account {
  constructor(session) {
    this.session = session;
    this.portfolio = null;
  }

  async load() {
    const account = this.session.account;
    const portfolio = await api.portfolio(account);
    if (account !== this.session.account) return;
    this.portfolio = portfolio;
    this.show();
  }

  clear() {
    this.portfolio = null;
    say($('total'), '\u2013');
    $('summary').replaceChildren();
    $('positions').replaceChildren();
  }

  show() {
    const { total_valuation_usd: total, net_deposits_usd: deposits, realized_pl_usd: realized, positions } = this.portfolio;
    say($('total'), usd(total));
    const open = sum(Object.values(positions).map((position) => position.unrealized_pl_usd ?? '0'));
    const pair = (name, value, tone = '') => h('div', {}, h('dt', {}, name), h('dd', { class: tone }, value));
    const gain = (name, value) => pair(name, signed(rounded(value, 2)), tone(rounded(value, 2)));
    $('summary').replaceChildren(gain('Open gain', open), gain('Realized gain', realized), pair('Net deposits', usd(deposits)));

    const held = Object.entries(positions).filter(([, { quantity }]) => sign(quantity) !== 0);
    held.sort(([, one], [, other]) => byValue(other, one));
    $('positions').replaceChildren(...held.map(([symbol, position]) => row(symbol, position)));
    $('no-positions').hidden = held.length > 0;
    say($('no-positions'), this.portfolio.sequence ? 'Nothing is held.' : 'This account was never funded.');
  }
}

function row(symbol, position) {
  const { quantity, price, value_usd: value, average_price_usd: average, unrealized_pl_usd: gain, cost_basis_usd: basis } = position;
  const share = position.share === null ? null : percent(position.share, '1');
  const meter = h('span', { class: 'meter', 'aria-hidden': 'true' }, h('i'));
  meter.firstChild.style.width = `${share ?? 0}%`;
  const cell = (attributes, ...children) => h('td', attributes, ...children);
  const none = cell({}, '\u2013');
  const isUsd = symbol === 'USD';
  const gained = gain === null || isUsd ? null : percent(gain, basis);
  return h('tr', {},
    h('th', { scope: 'row' }, symbol, share !== null && h('small', { class: 'narrow' }, `${share} %`)),
    cell({ title: exact(quantity, 8) }, isUsd ? rounded(quantity, 2) : exact(quantity)),
    cell({ class: 'roomy', title: average }, average === null || isUsd ? '\u2013' : shownPrice(average)),
    value === null ? cell({}, 'no price')
      : cell({ title: exact(value, 8) }, rounded(value, 2), !isUsd && h('small', {}, `at ${usd(price)}`)),
    gain === null || isUsd ? none
      : cell({ class: tone(rounded(gain, 2)) }, signed(rounded(gain, 2)), gained !== null && h('small', {}, `${signed(gained)} %`)),
    cell({ class: 'share' }, share === null ? '\u2013' : `${share} %`, meter));
}

function byValue(one, other) {
  const distance = units(one.value_usd ?? '0', 8) - units(other.value_usd ?? '0', 8);
  return distance > 0n ? 1 : distance < 0n ? -1 : 0;
}
