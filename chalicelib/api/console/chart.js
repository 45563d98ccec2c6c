// Candlesticks as SVG. What rises is an outline, what falls is filled: colour alone says nothing.

import { difference, exact, percent, price as shownPrice, sign, signed, tone } from './amount.js';
import { h, say, svg } from './dom.js';

// Distances in pixels where the page's letters are as on a small screen; they grow with them.
const LETTERS_PX = 15;
const DIGIT_PX = 7.4;
const AXIS_PX = 12; // between the plot and the prices
const FOOT_PX = 26;
const HEAD_PX = 10;
const TICKS_PX = 56;
const TIMES_PX = { '1m': 84, '5m': 84, '1h': 132, '1d': 84 };
const BODY_PX = 14; // at most
const SLOTS = 48; // at least: few candles stand at the right, not as wide blocks
const FEW = 3; // candles: too few to speak for themselves
const STEPS = [1, 2, 2.5, 5, 10];

const TIME = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const FULL = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });

export class Chart {
  /** `box`: where the picture goes; `readout`: where the values under the crosshair are written. */
  constructor(box, readout) {
    this.box = box;
    this.readout = readout;
    this.candles = [];
    this.at = null;
    this.picture = svg('svg', { class: 'chart', role: 'img', tabindex: '0', 'aria-describedby': readout.id });
    this.empty = h('p', { class: 'empty' });
    box.append(this.picture, this.empty);
    new ResizeObserver(() => this.draw()).observe(box);
    this.picture.addEventListener('pointermove', (event) => this.point(this.indexAt(event.offsetX)));
    this.picture.addEventListener('pointerleave', () => this.point(null));
    this.picture.addEventListener('blur', () => this.point(null));
    this.picture.addEventListener('keydown', (event) => this.step(event));
  }

  show({ symbol, interval, candles, price, empty }) {
    Object.assign(this, { symbol, interval, candles, price });
    this.empty.hidden = candles.length >= FEW;
    say(this.empty, candles.length ? 'More candles follow as prices are set.' : empty ?? '');
    if (this.at !== null && this.at >= candles.length) this.at = null;
    this.draw();
  }

  step(event) {
    const last = this.candles.length - 1;
    const at = this.at ?? last + 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.point(Math.max(0, Math.min(last, to)));
  }

  point(at) {
    if (at === this.at) return;
    this.at = at;
    this.cross();
    this.write();
  }

  indexAt(x) {
    const index = Math.floor((x - this.left) / this.slot);
    return index < 0 || index >= this.candles.length ? null : index;
  }

  draw() {
    const width = this.box.clientWidth;
    const height = this.box.clientHeight;
    this.picture.replaceChildren();
    this.write();
    if (!this.candles.length || width < 40) return;
    this.picture.setAttribute('viewBox', `0 0 ${width} ${height}`);
    this.picture.setAttribute('width', width);
    this.picture.setAttribute('height', height);

    // Pixels, and only pixels, are floats.
    const scale = parseFloat(getComputedStyle(this.box).fontSize) / LETTERS_PX;
    const prices = this.candles.flatMap((candle) => [Number(candle.high), Number(candle.low)]);
    if (this.price) prices.push(Number(this.price));
    let low = Math.min(...prices);
    let high = Math.max(...prices);
    const pad = (high - low) * 0.08 || high * 0.002;
    low -= pad;
    high += pad;
    const ticks = niceTicks(low, high, Math.max(3, Math.floor(height / (TICKS_PX * scale))));
    const labels = ticks.values.map((value) => exact(value.toFixed(ticks.decimals), ticks.decimals));
    const longest = Math.max(...labels.map((label) => label.length), this.price ? exact(this.price, 2).length : 0);
    const axis = (longest * DIGIT_PX + AXIS_PX + 8) * scale;
    const right = width - axis;
    const bottom = height - FOOT_PX * scale;
    const y = (value) => HEAD_PX + ((high - value) / (high - low)) * (bottom - HEAD_PX);
    const slots = Math.max(this.candles.length, SLOTS);
    this.slot = right / slots;
    this.left = right - this.candles.length * this.slot;
    this.middle = (index) => this.left + (index + 0.5) * this.slot;
    Object.assign(this, { right, bottom, y, scale });

    for (const [i, value] of ticks.values.entries()) {
      this.picture.append(
        svg('line', { class: 'grid', x1: 0, x2: right, y1: y(value), y2: y(value) }),
        svg('text', { class: 'tick', x: right + AXIS_PX * scale, y: y(value) }, labels[i]),
      );
    }
    this.times();
    const body = Math.max(1, Math.min(BODY_PX * scale, Math.floor(this.slot * 0.64)));
    for (const [i, candle] of this.candles.entries()) {
      const [open, top, floor, close] = [candle.open, candle.high, candle.low, candle.close].map(Number);
      const rises = close >= open;
      const x = Math.round(this.middle(i)) + 0.5;
      const upper = y(Math.max(open, close));
      const lower = Math.max(y(Math.min(open, close)), upper + 1);
      this.picture.append(
        svg('path', { class: rises ? 'wick up' : 'wick down', d: `M${x} ${y(top)}V${upper}M${x} ${lower}V${y(floor)}` }),
        svg('rect', { class: rises ? 'body up' : 'body down', x: x - body / 2, y: upper, width: body, height: lower - upper }),
      );
    }
    if (this.price) {
      const level = y(Number(this.price));
      const label = exact(this.price, 2);
      this.picture.append(
        svg('line', { class: 'level', x1: 0, x2: right, y1: level, y2: level }),
        svg('rect', {
          class: 'tag',
          x: right + (AXIS_PX - 6) * scale,
          y: level - 10 * scale,
          width: (label.length * DIGIT_PX + 12) * scale,
          height: 20 * scale,
          rx: 4,
        }),
        svg('text', { class: 'tag-text', x: right + AXIS_PX * scale, y: level }, label),
      );
    }
    this.crosshair = svg('g', { class: 'cross', 'aria-hidden': 'true' });
    this.picture.append(this.crosshair);
    this.cross();
  }

  times() {
    const between = TIMES_PX[this.interval] * this.scale;
    const every = Math.ceil(between / this.slot);
    const last = this.candles.length - 1;
    for (let i = Math.max(0, last - Math.ceil(every / 2)); i >= 0; i -= every) {
      const at = new Date(this.candles[i].at);
      const x = this.middle(i);
      if (x < between / 3) continue;
      const shown = { '1d': DAY, '1h': FULL }[this.interval]?.format(at) ?? TIME.format(at);
      this.picture.append(svg('text', { class: 'tick time', x, y: this.bottom + 18 * this.scale }, shown));
    }
  }

  cross() {
    if (!this.crosshair) return;
    this.crosshair.replaceChildren();
    if (this.at === null || !this.candles.length) return;
    const x = Math.round(this.middle(this.at)) + 0.5;
    const level = this.y(Number(this.candles[this.at].close));
    this.crosshair.append(
      svg('line', { x1: x, x2: x, y1: HEAD_PX, y2: this.bottom }),
      svg('line', { x1: 0, x2: this.right, y1: level, y2: level }),
    );
  }

  /** Writes the values under the crosshair, or of the whole picture: its text for those who do not see it. */
  write() {
    const [first, last] = [this.candles[0], this.candles.at(-1)];
    if (!first) {
      this.readout.replaceChildren();
      this.picture.setAttribute('aria-label', 'No candles yet');
      return;
    }
    const one = this.at === null ? null : this.candles[this.at];
    const highest = this.candles.reduce((best, { high }) => (sign(difference(high, best)) > 0 ? high : best), first.high);
    const lowest = this.candles.reduce((best, { low }) => (sign(difference(low, best)) < 0 ? low : best), first.low);
    const shown = one ?? { open: first.open, high: highest, low: lowest, close: last.close };
    const moved = difference(shown.close, shown.open);
    const change = `${signed(percent(moved, shown.open))} %`;
    const when = one ? FULL.format(new Date(one.at)) : FULL.formatRange(new Date(first.at), new Date(last.at));
    const value = (name, price) => h('span', {}, h('abbr', { title: name }, name[0]), ` ${shownPrice(price)}`);
    this.readout.replaceChildren(
      h('span', { class: 'when' }, when),
      value('Open', shown.open), value('High', shown.high), value('Low', shown.low), value('Close', shown.close),
      h('span', { class: tone(percent(moved, shown.open)) }, change),
    );
    const values = `opened at ${shownPrice(shown.open)}, highest ${shownPrice(shown.high)}, lowest ${shownPrice(shown.low)}`;
    this.picture.setAttribute(
      'aria-label',
      `${this.symbol} in USD, ${this.candles.length} candle${this.candles.length === 1 ? '' : 's'} of ${this.interval}, ${when}: `
      + `${values}, closed at ${shownPrice(shown.close)}, ${change}. `
      + 'Arrow keys step through the candles.',
    );
  }
}

function niceTicks(low, high, wanted) {
  const rough = (high - low) / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * STEPS.find((factor) => factor * power >= rough);
  const decimals = Math.max(0, Math.min(16, Math.ceil(-Math.log10(step) + (step / power === 2.5 ? 1 : 0) - 1e-9)));
  const values = [];
  for (let value = Math.ceil(low / step) * step; value < high; value += step) values.push(value);
  return { values, decimals };
}
