// Elements in one call: h('p', { class: 'note' }, 'text', child).

const SVG = 'http://www.w3.org/2000/svg';

export const $ = (id) => document.getElementById(id);

export function h(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith('on')) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? '' : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets a text only where it changes: a screen reader repeats what is set anew. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Returns a function that calls `work` once its calls have paused for a while. */
export function debounced(work, pause_ms) {
  let timer;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...given), pause_ms);
  };
}

export const pause = (time_ms) => new Promise((resolve) => setTimeout(resolve, time_ms));
