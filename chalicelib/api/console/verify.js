// Verification of an account's history, by this browser alone:
//
//   head = SHA-256(previous head ‖ record), the first over nothing
//
// What was verified last is kept, { sequence, head }. The history must still contain it: a chain computed anew does not.

import { factsOf, firstUntrue } from './records.js';
import { hex, sha256 } from './sha256.js';

const PAGE = 100;
const LATE_INDEX_TRIES = 5;
const ASCII = new TextEncoder();

/** The history is not what it should be. `sequence`: the first link that does not hold. */
export class Broken extends Error {
  constructor(sequence, message) {
    super(message);
    this.sequence = sequence;
  }
}

/** Returns the chain's next value: bytes. */
export function nextHead(head, record) {
  const text = ASCII.encode(record);
  const joined = new Uint8Array(head.length + text.length);
  joined.set(head);
  joined.set(text, head.length);
  return sha256(joined);
}

/** Verifies a history up to the head that the portfolio shows. Returns { sequence, head, from }.
 *
 * `last`: what was verified before, or null. `again`: begin at 1 all the same. `read`: { portfolio(), page(after, limit) }. `progress(done, all)` is called a page.
 * Raises Broken; what `read` raises passes.
 */
export async function verify(account, last, again, read, progress) {
  const { sequence: end, head: shown } = await read.portfolio();
  if (last && end < last.sequence) {
    const before = `but this browser verified it up to ${last.sequence} before: it was shortened.`;
    throw new Broken(end + 1, `The history ends at ${end}, ${before}`);
  }
  if (last) await contains(last, read);
  const from = last && !again ? last.sequence : 0;
  let sequence = from;
  let head = bytes(from ? last.head : '');
  progress(sequence, end);
  let tries = 0;
  while (sequence < end) {
    const { records } = await read.page(sequence, Math.min(PAGE, end - sequence));
    if (records.length === 0) tries += 1;
    if (tries === LATE_INDEX_TRIES) throw new Broken(sequence + 1, `Decision ${sequence + 1} is missing.`);
    for (const record of records) {
      head = link(account, record, sequence + 1, head);
      sequence += 1;
      if (sequence === last?.sequence && hex(head) !== last.head) throw rewritten(last);
    }
    progress(sequence, end);
  }
  if (hex(head) !== shown) throw new Broken(end, `The chain ends in another head than the portfolio shows, at ${end}.`);
  return { sequence, head: hex(head), from };
}

/** Makes sure that what was verified last is still there. */
async function contains(last, read) {
  const { records: [record] } = await read.page(last.sequence - 1, 1);
  if (record?.sequence !== last.sequence || record.head !== last.head) {
    throw rewritten(last);
  }
}

const rewritten = ({ sequence }) =>
  new Broken(sequence, `The history no longer contains what this browser verified before, up to ${sequence}: it was rewritten.`);

/** Verifies one link; returns its head. */
function link(account, record, sequence, previous) {
  const head = nextHead(previous, record.record);
  if (hex(head) !== record.head) throw new Broken(sequence, `The text of decision ${sequence} does not belong to its place in the chain.`);
  let facts;
  try {
    facts = factsOf(record.record);
  } catch {
    throw new Broken(sequence, `Decision ${sequence} is of a form that this console does not read.`);
  }
  if (facts.user_id !== account) throw new Broken(sequence, `Decision ${sequence} is another account's.`);
  if (facts.sequence !== sequence) throw new Broken(sequence, `Decision ${facts.sequence} stands where ${sequence} belongs.`);
  const untrue = firstUntrue(record, facts);
  if (untrue) throw new Broken(sequence, `Decision ${sequence} shows another ${untrue} than its stored text.`);
  return head;
}

const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
