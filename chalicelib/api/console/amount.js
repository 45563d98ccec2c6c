// Amounts are decimal strings, computed as BigInt. Floats are for pixels.

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;
const MINUS = '\u2212';

/** Returns an amount as an integer of its last decimals: units('1.5', 8) is 150000000n. */
export function units(text, decimals) {
  const found = DECIMAL.exec(text);
  if (!found || (found[3] ?? '').length > decimals) throw new RangeError(`not an amount of ${decimals} decimals: ${text}`);
  const value = BigInt(found[2] + (found[3] ?? '').padEnd(decimals, '0'));
  return found[1] ? -value : value;
}

/** Returns an integer of so many decimals as text. */
export function text(value, decimals) {
  const digits = (value < 0n ? -value : value).toString().padStart(decimals + 1, '0');
  const whole = digits.slice(0, digits.length - decimals);
  return `${value < 0n ? '-' : ''}${whole}${decimals ? `.${digits.slice(-decimals)}` : ''}`;
}

/** Shows an amount exactly: thousands apart, without zeros beyond the decimal `least`. */
export function exact(amount, least = 0) {
  const [, minus, whole, fraction = ''] = DECIMAL.exec(amount);
  const shown = fraction.replace(/0+$/, '').padEnd(least, '0');
  return `${minus && MINUS}${whole.replace(/\B(?=(\d{3})+$)/g, ',')}${shown && `.${shown}`}`;
}

/** Shows USD: two decimals at least. */
export const usd = (amount) => exact(amount, 2);

/** Shows an amount half up at so many decimals. */
export function rounded(amount, decimals) {
  const scale = Math.max(decimals, (DECIMAL.exec(amount)[3] ?? '').length);
  const value = units(amount, scale);
  const magnitude = divided(value < 0n ? -value : value, 10n ** BigInt(scale - decimals));
  return exact(text(value < 0n ? -magnitude : magnitude, decimals), decimals);
}

/** Shows a price that is a quotient: six digits, or two decimals, or where it is below 1 all of it. */
export function price(amount) {
  const [, , whole, fraction = ''] = DECIMAL.exec(amount);
  const decimals = Math.max(2, 6 - whole.length);
  return whole === '0' || fraction.length <= decimals ? exact(amount, 2) : rounded(amount, decimals).replace(/(\.\d\d\d*?)0+$/, '$1');
}

/** Names the tone of a shown amount. What is shown as zero has none. */
export const tone = (shown) => (!/[1-9]/.test(shown) ? 'plain' : shown.startsWith(MINUS) ? 'down' : 'up');

/** Adds a plus sign to what is above zero. */
export function signed(shown) {
  return { up: `+${shown}`, down: shown, plain: shown.replace(MINUS, '') }[tone(shown)];
}

/** Returns 1, 0 or -1. */
export function sign(amount) {
  return !/[1-9]/.test(amount) ? 0 : amount.startsWith('-') ? -1 : 1;
}

export const negated = (amount) => (amount.startsWith('-') ? amount.slice(1) : `-${amount}`);

/** Returns a fraction of two amounts in percent with two decimals, half up; null where the second is 0. */
export function percent(part, whole) {
  const denominator = units(whole, 16);
  if (denominator === 0n) return null;
  const numerator = units(part, 16) * (denominator < 0n ? -1n : 1n);
  const size = denominator < 0n ? -denominator : denominator;
  const magnitude = divided((numerator < 0n ? -numerator : numerator) * 10000n, size);
  return exact(text(numerator < 0n ? -magnitude : magnitude, 2), 2);
}

/** Returns the difference of two amounts of up to 16 decimals. */
export const difference = (one, other) => text(units(one, 16) - units(other, 16), 16);

/** Returns the sum of amounts of 8 decimals. */
export const sum = (amounts) => text(amounts.reduce((total, amount) => total + units(amount, 8), 0n), 8);

/** Returns a quotient of two prices with 8 decimals, half up. */
export const quotient = (one, other) => text(divided(units(one, 16) * 10n ** 8n, units(other, 16)), 8);

const divided = (numerator, denominator) => (2n * numerator + denominator) / (2n * denominator);
