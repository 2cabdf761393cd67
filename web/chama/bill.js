// The bill: who owes what, and what the documents say of it. Nothing here touches the page.

import { stateOf } from '../daraja.js';

/** The most that M-Pesa takes in one payment, in shillings. */
export const MOST = 250_000;
/** The most members of a bill: their numbers have two digits at most. */
export const PEOPLE = 99;

/**
 * @typedef {import('../daraja.js').PaymentDocument} PaymentDocument
 * @typedef {import('../daraja.js').State} State
 *
 * @typedef {object} Member
 * @property {string} name
 * @property {string} [phone] kept where the bill was made, and never in a link
 * @property {number} share in whole shillings
 *
 * @typedef {object} Bill
 * @property {string} code eight characters, with which every reference begins: with -99 it has eleven of the twelve that M-Pesa takes
 * @property {string} name
 * @property {number} total
 * @property {Member[]} members
 * @property {string} maker the id of the user who made it, and who alone may read its payments
 *
 * @typedef {object} Attempt One payment that a member was asked for.
 * @property {string} id
 * @property {number} at when, in milliseconds
 * @property {State} state
 */

/**
 * Splits a total into whole shillings that differ by one at most.
 * @param {number} total
 * @param {number} people
 * @returns {number[]}
 */
export function split(total, people) {
  const least = Math.floor(total / people), more = total % people;
  return Array.from({ length: people }, (_, i) => least + (i < more ? 1 : 0));
}

/**
 * The number as Safaricom writes it, or '' if it is no Kenyan mobile number.
 * @param {string} text
 */
export function phoneNumber(text) {
  const digits = /^(?:\+?254|0)?([17]\d{8})$/.exec(text.replace(/[\s-]/g, ''));
  return digits ? '254' + digits[1] : '';
}

/**
 * What stands in the documents of member n, and in the SMS to them.
 * @param {Bill} bill
 * @param {number} n
 */
export const reference = (bill, n) => `${bill.code}-${n + 1}`;

/** A new bill's code. */
export function newCode() {
  return Array.from(crypto.getRandomValues(new Uint8Array(4)), (b) => b.toString(16).padStart(2, '0')).join('').toUpperCase();
}

/**
 * Whole shillings that the documents say were paid. A SUCCESS that a status query found
 * has no amount yet; what was asked for is what M-Pesa then took.
 * @param {PaymentDocument[]} documents
 */
export function paid(documents) {
  return documents.filter((d) => d.status === 'SUCCESS').reduce((sum, d) => sum + (d.amount ?? d.requestedAmount ?? 0), 0);
}

/**
 * The receipts of what was paid, of which somebody who paid twice has two.
 * @param {PaymentDocument[]} documents
 */
export function receipts(documents) {
  return documents.filter((d) => d.status === 'SUCCESS' && d.receipt).map((d) => d.receipt);
}

/**
 * What counts more, of several attempts: what was paid, what may be paid now, what nobody knows.
 * @type {Record<string, number>}
 */
const WEIGHT = { Success: 3, Initiating: 2, Pending: 2, Timeout: 1 };

/**
 * The attempt that says how a member stands: the one that counts most, else the latest. As
 * long as nobody knows of one whether it was paid, none that failed later hides it.
 * @param {Attempt[]} attempts
 * @returns {Attempt|undefined}
 */
export function decisive(attempts) {
  const weight = (/** @type {Attempt} */ { state }) => (WEIGHT[state.name] ?? 0) + (state.document?.receipt ? 1 : 0);
  let best;
  for (const a of attempts) if (!best || weight(a) > weight(best) || weight(a) === weight(best) && a.at > best.at) best = a;
  return best;
}

/**
 * Takes what a document says into a member's attempts, and returns the attempt. A stream
 * that gave up stays so until its document has a verdict, and one that was refused knows
 * better than its document why it failed.
 * @param {Attempt[]} attempts
 * @param {PaymentDocument} document
 */
export function take(attempts, document) {
  let attempt = attempts.find((a) => a.id === document.$id);
  if (!attempt) {
    attempt = { id: document.$id, at: Date.parse(document.$createdAt), state: stateOf(document) };
    attempts.push(attempt);
  } else if (document.status !== 'PENDING' && !(attempt.state.name === 'Error' && document.status === 'FAILED')) {
    attempt.state = stateOf(document);
  }
  return attempt;
}

/** How long an ask may still be on its way, in seconds. */
const ON_ITS_WAY = 180;

/**
 * Whether an attempt was never sent, by what the function answers about its id: it does not
 * know it, though every ask for it has ended long ago.
 * @param {Attempt} attempt
 * @param {?import('../daraja.js').Answer} answer
 * @param {number} now in milliseconds
 */
export function neverSent(attempt, answer, now) {
  return !attempt.state.document && answer?.error?.type === 'not_found' && now - attempt.at > ON_ITS_WAY * 1000;
}

/**
 * A link to a bill, without the phones: what follows # is not sent to any server.
 * @param {Bill} bill
 */
export function toHash({ code, name, total, members, maker }) {
  const text = JSON.stringify([code, name, total, members.map((m) => [m.name, m.share]), maker]);
  return '#' + btoa(String.fromCharCode(...new TextEncoder().encode(text))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/**
 * The bill in a link; null if there is none, or none like that could have been made here.
 * @param {string} hash
 * @returns {?Bill}
 */
export function fromHash(hash) {
  try {
    const bytes = Uint8Array.from(atob(hash.slice(1).replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0));
    const [code, name, total, members, maker] = JSON.parse(new TextDecoder().decode(bytes));
    /** @type {Bill} */
    const bill = { code, name, total, members: members.map((/** @type {[string, number]} */ [name, share]) => ({ name, share })), maker };
    const named = (/** @type {{name: any}} */ { name }) => typeof name === 'string' && name !== '' && name === name.trim();
    const whole = (/** @type {number} */ n) => Number.isSafeInteger(n) && n > 0;
    const sound = /^[0-9A-F]{8}$/.test(code) && named(bill) && typeof maker === 'string' && maker !== '' && members.length <= PEOPLE &&
      bill.members.every((m) => named(m) && whole(m.share)) && whole(total) && total === bill.members.reduce((sum, m) => sum + m.share, 0);
    return sound ? bill : null;
  } catch {
    return null;
  }
}

/**
 * Rows as CSV. A text that a spreadsheet would take for a formula does not stay one.
 * @param {(string|number)[][]} rows
 */
export function csv(rows) {
  const cell = (/** @type {string|number} */ value) => {
    let text = String(value);
    if (typeof value === 'string' && /^[=+\-@\t\r]/.test(text)) text = "'" + text;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return rows.map((row) => row.map(cell).join(',') + '\r\n').join('');
}
