// Values that outlive the page. Where a browser refuses storage, they last as long as the page.

/** The engine's own address: the root, a stage's path, or a domain's. */
export const ROOT = new URL('../../', import.meta.url);

class Store {
  constructor(area) {
    this.rest = new Map();
    try {
      this.area = globalThis[area];
      this.area.getItem('hft');
    } catch {
      this.area = null;
    }
  }

  get(name) {
    const text = this.area?.getItem(place(name)) ?? this.rest.get(name) ?? null;
    try {
      return text === null ? null : JSON.parse(text);
    } catch {
      return null;
    }
  }

  set(name, value) {
    const text = JSON.stringify(value);
    this.rest.set(name, text);
    try {
      this.area?.setItem(place(name), text);
    } catch { /* the page's own copy remains */ }
  }

  remove(name) {
    this.rest.delete(name);
    this.area?.removeItem(place(name));
  }

  /** Returns the names that begin with a prefix. */
  names(prefix) {
    const stored = this.area ? Object.keys(this.area).filter((name) => name.startsWith(place(''))) : [];
    const all = new Set([...this.rest.keys(), ...stored.map((name) => name.slice(place('').length))]);
    return [...all].filter((name) => name.startsWith(prefix));
  }
}

const place = (name) => `hft:${ROOT.pathname}:${name}`;

/** Kept until the browser's data is cleared. */
export const kept = new Store('localStorage');

/** Kept as long as this tab. */
export const tab = new Store('sessionStorage');
