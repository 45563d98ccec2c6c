// The list of markets, and the chart of the chosen one.

import * as api from './api.js';
import { exact } from './amount.js';
import { Chart } from './chart.js';
import { $, h, say } from './dom.js';
import { kept } from './storage.js';

const INTERVALS = { '1m': 'one minute', '5m': 'five minutes', '1h': 'one hour', '1d': 'one day' };
const CANDLE_PX = 9;
const MOST_CANDLES = 300;

export class Markets {
  constructor(chosen) {
    this.chosen = chosen;
    this.assets = [];
    this.symbol = null;
    this.interval = kept.get('interval') ?? '1m';
    this.candles = [];
    this.chart = new Chart($('chart'), $('readout'));
    for (const [interval, name] of Object.entries(INTERVALS)) {
      const checked = interval === this.interval;
      const input = h('input', { type: 'radio', name: 'interval', value: interval, 'aria-label': name, checked });
      input.addEventListener('change', () => {
        this.interval = interval;
        kept.set('interval', interval);
        this.loadCandles();
      });
      $('intervals').append(h('label', {}, input, h('span', {}, interval)));
    }
  }

  of(symbol) {
    return this.assets.find((asset) => asset.symbol === symbol);
  }

  get traded() {
    return this.assets.filter((asset) => asset.symbol !== 'USD');
  }

  async load() {
    const before = new Map(this.assets.map((asset) => [asset.symbol, asset.price]));
    this.assets = await api.assets();
    if (!this.of(this.symbol)) this.symbol = (this.of(kept.get('symbol')) ?? this.traded[0])?.symbol ?? null;
    this.list(before);
    this.price();
  }

  choose(symbol) {
    if (symbol === this.symbol || !this.of(symbol)) return;
    this.symbol = symbol;
    kept.set('symbol', symbol);
    this.candles = [];
    this.list(new Map());
    this.price();
    this.loadCandles();
    this.chosen(symbol);
  }

  list(before) {
    const list = $('markets');
    if (list.children.length !== this.traded.length || this.traded.some((asset, i) => list.children[i].dataset.symbol !== asset.symbol)) {
      list.replaceChildren(...this.traded.map(({ symbol }) => {
        const button = h('button', { type: 'button', onclick: () => this.choose(symbol) },
          h('span', { class: 'name' }), h('span', { class: 'value' }), h('span', { class: 'age' }));
        const item = h('li', {}, button);
        item.dataset.symbol = symbol;
        return item;
      }));
    }
    for (const [i, asset] of this.traded.entries()) {
      const button = list.children[i].firstChild;
      const [name, value] = button.children;
      button.setAttribute('aria-pressed', String(asset.symbol === this.symbol));
      say(name, asset.symbol);
      say(value, exact(asset.price, 2));
      const was = before.get(asset.symbol);
      if (was && was !== asset.price) {
        value.classList.remove('moved');
        requestAnimationFrame(() => value.classList.add('moved'));
      }
    }
    this.ages();
  }

  /** Writes how old each price is. */
  ages() {
    for (const [i, asset] of this.traded.entries()) {
      const age = $('markets').children[i]?.firstChild.lastChild;
      if (age) say(age, asset.halted ? 'halted' : ageOf(asset.price_at));
    }
    const asset = this.of(this.symbol);
    if (asset) say($('chart-age'), asset.halted ? 'Trading is halted' : `set ${ageOf(asset.price_at)}`);
  }

  price() {
    const asset = this.of(this.symbol);
    if (!asset) return;
    say($('chart-symbol'), asset.symbol);
    say($('chart-price'), exact(asset.price, 2));
    document.title = `${exact(asset.price, 2)} ${asset.symbol} \u00b7 HFT Trading Engine`;
    this.draw();
  }

  async loadCandles() {
    const { symbol, interval } = this;
    if (!symbol) return;
    const limit = Math.max(30, Math.min(MOST_CANDLES, Math.floor($('chart').clientWidth / CANDLE_PX)));
    try {
      const candles = await api.candles(symbol, interval, limit);
      if (symbol !== this.symbol || interval !== this.interval) return;
      this.candles = candles;
      this.empty = 'No candles yet. They are drawn as prices are set.';
    } catch (error) {
      if (symbol !== this.symbol || interval !== this.interval) return;
      this.candles = [];
      this.empty = error.status === 404 ? 'This engine keeps no candles.' : `No candles: ${error.message}.`;
    }
    this.draw();
  }

  draw() {
    this.chart.show({
      symbol: this.symbol, interval: this.interval, candles: this.candles, price: this.of(this.symbol)?.price, empty: this.empty,
    });
  }
}

/** Returns how long ago a moment was, in one unit. */
export function ageOf(at) {
  const age_s = Math.max(0, Math.round((api.clock.now() - Date.parse(at)) / 1000));
  if (age_s < 2) return 'now';
  if (age_s < 90) return `${age_s} s ago`;
  if (age_s < 90 * 60) return `${Math.round(age_s / 60)} min ago`;
  if (age_s < 36 * 3600) return `${Math.round(age_s / 3600)} h ago`;
  return `${Math.round(age_s / 86400)} days ago`;
}
