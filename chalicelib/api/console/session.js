// Whose account is shown, and the token that opens it.

import { token } from './api.js';
import { $, say } from './dom.js';
import { tab } from './storage.js';

const LARGEST = 2n ** 63n - 1n;

export class Session {
  constructor(changed) {
    this.changed = changed;
    this.account = tab.get('account') ?? subjectOf(token.get()) ?? '1';
    $('open-account').addEventListener('click', () => this.ask());
    $('account-cancel').addEventListener('click', () => $('account-dialog').close());
    $('account-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.use($('account').value.trim(), $('token').value.trim().replace(/^Bearer\s+/i, ''));
    });
    $('token').addEventListener('change', () => {
      const subject = subjectOf($('token').value.trim());
      if (subject) $('account').value = subject;
    });
    this.show();
  }

  /** Opens the dialog. `why`: a refusal that only another account or token can change. */
  ask(why = '') {
    const dialog = $('account-dialog');
    say($('account-why'), why);
    $('account-why').hidden = !why;
    if (dialog.open) return;
    $('account').value = this.account;
    $('token').value = token.get() ?? '';
    dialog.showModal();
    (why ? $('token') : $('account')).select();
  }

  use(account, given) {
    if (!/^\d+$/.test(account) || BigInt(account) < 1n || BigInt(account) > LARGEST) {
      this.ask('An account number is a whole number from 1.');
      $('account').focus();
      return;
    }
    token.set(given);
    this.account = BigInt(account).toString();
    tab.set('account', this.account);
    $('account-dialog').close();
    this.show();
    this.changed();
  }

  show() {
    say($('open-account'), `Account ${this.account}`);
  }
}

/** Returns the account that a token names, where its subject is a number. The engine decides, not this. */
function subjectOf(jwt) {
  try {
    const claims = JSON.parse(atob(jwt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/')));
    return /^\d+$/.test(claims.sub) ? String(claims.sub) : null;
  } catch {
    return null;
  }
}
