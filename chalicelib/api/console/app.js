// The console: what is read when, and the keys.

import { NoAnswer, Refused } from './api.js';
import { Account } from './account.js';
import { $, say } from './dom.js';
import { History } from './history.js';
import { Markets } from './markets.js';
import { Session } from './session.js';
import { kept } from './storage.js';
import { Ticket } from './ticket.js';

const PRICES_EVERY_MS = 2000;
const ACCOUNT_EVERY_MS = 10_000;
const CANDLES_EVERY_MS = 5000;
const SCHEMES = { '': 'auto', light: 'light', dark: 'dark' };

const session = new Session(() => start());
const account = new Account(session);
const history = new History(session);
const markets = new Markets((symbol) => ticket.choose(symbol));
const ticket = new Ticket(session, markets, () => readAccount());

/** Reads something, and says how the connection is. */
async function reading(read) {
  try {
    await read();
    connected('live', 'Live');
    return true;
  } catch (error) {
    if (error instanceof Refused && error.status === 401) session.ask(`${error.message}.`);
    else if (error instanceof Refused && error.status === 403) session.ask(`${error.message}. Choose the account that the token is for.`);
    else if (error instanceof NoAnswer || error instanceof Refused) connected('lost', `${error.message}. Trying again.`);
    else throw error;
    return false;
  }
}

function connected(state, text) {
  $('connection').dataset.state = state;
  say($('connection'), text);
}

const readPrices = () => reading(async () => {
  await markets.load();
  ticket.offer();
});

const readAccount = () => reading(async () => {
  await Promise.all([account.load(), history.load()]);
  ticket.balances = account.portfolio?.holdings ?? {}; // none where another account was chosen meanwhile
  ticket.hint();
  ticket.attend();
});

/** Begins with an account: at first, and where another one is chosen. */
async function start() {
  account.clear();
  history.clear();
  ticket.balances = {};
  if (!(await readPrices())) return;
  ticket.restart();
  markets.loadCandles();
  await readAccount();
}

function every(time_ms, work) {
  setInterval(() => {
    if (!document.hidden && !$('account-dialog').open) work();
  }, time_ms);
}

every(PRICES_EVERY_MS, readPrices);
every(ACCOUNT_EVERY_MS, readAccount);
every(CANDLES_EVERY_MS, () => markets.loadCandles());
every(1000, () => markets.ages());
document.addEventListener('visibilitychange', () => {
  if (!document.hidden && !$('account-dialog').open) readPrices().then((read) => read && readAccount());
});

// The scheme.

function scheme(next) {
  document.documentElement.dataset.theme = next;
  say($('theme'), `Theme: ${SCHEMES[next]}`);
  try {
    localStorage.setItem('hft:theme', next);
  } catch { /* chosen for this page alone */ }
}

function nextScheme() {
  const names = Object.keys(SCHEMES);
  scheme(names[(names.indexOf(document.documentElement.dataset.theme ?? '') + 1) % names.length]);
}

scheme(document.documentElement.dataset.theme ?? '');
$('theme').addEventListener('click', nextScheme);

// Keys.

const KEYS = {
  b: () => ticket.take('buy'),
  s: () => ticket.take('sell'),
  v: () => history.verify(),
  t: nextScheme,
  '?': () => $('keys-dialog').showModal(),
};

$('keys-on').checked = kept.get('keys') ?? true;
$('keys-on').addEventListener('change', () => kept.set('keys', $('keys-on').checked));
$('open-keys').addEventListener('click', KEYS['?']);
$('keys-close').addEventListener('click', () => $('keys-dialog').close());

document.addEventListener('keydown', (event) => {
  const typing = event.target.closest('input:not([type=radio]):not([type=checkbox]), select, dialog');
  const chord = event.ctrlKey || event.metaKey || event.altKey || event.repeat;
  if (typing || chord || !$('keys-on').checked || document.querySelector('dialog[open]')) return;
  const key = event.key.toLowerCase();
  const market = /^[1-9]$/.test(key) && markets.traded[Number(key) - 1];
  const work = KEYS[key] ?? (market && (() => markets.choose(market.symbol)));
  if (!work) return;
  event.preventDefault();
  work();
});

start();
