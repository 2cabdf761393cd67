// M-Pesa payments in a page, on Appwrite's Web SDK: each is one stream of states.
//
//   import { Client, Databases, Functions } from 'appwrite';
//   import { Daraja } from './daraja.js';
//
//   const client = new Client().setEndpoint(endpoint).setProject(project);
//   const daraja = new Daraja({ client, functions: new Functions(client), databases: new Databases(client) });
//   for await (const state of daraja.pay({ phone: '0712345678', amount: 250, reference: 'ORDER-7' })) {
//     show(state.name, state.text('sw'));
//   }
//
// Whoever pays has a session: the function asks Appwrite who that is, and lets that user
// alone read the payment. The document of a payment is its state, and this module keeps
// nothing besides, so that a page may go away at any time and resume it.
//
// Only what exists, and means the same, in every version from 17 to 28 of the SDK is used:
// client.subscribe, and calls with positional parameters.

import { messages, receiptFollows } from './messages.js';

/**
 * @typedef {'Idle'|'Initiating'|'Pending'|'Success'|'Failed'|'Cancelled'|'Timeout'|'Error'} Name
 * The last five end a stream. Timeout means that nobody knows yet what became of the
 * money, and never that the payment failed; its document goes on being checked. Error
 * means that nothing was sent.
 *
 * @typedef {'en'|'sw'} Language
 *
 * @typedef {object} PaymentDocument A document of the collection of payments.
 * @property {string} $id
 * @property {string} $createdAt
 * @property {string} $updatedAt
 * @property {'PENDING'|'SUCCESS'|'FAILED'|'CANCELLED'|'TIMEOUT'} status
 * @property {string} checkoutRequestId empty until Safaricom has named it
 * @property {?number} resultCode
 * @property {?string} receipt null on a SUCCESS that Safaricom's callback is still to complete
 * @property {?number} amount what was paid, in whole shillings
 * @property {?number} requestedAmount
 * @property {?string} reference
 * @property {?string} failureReason
 *
 * @typedef {object} PaymentRequest
 * @property {string} phone a Kenyan mobile number, such as 0712345678
 * @property {number} amount whole shillings, 1 to 250,000
 * @property {string} reference 1 to 12 letters, digits, spaces and hyphens, which the payer sees
 * @property {string} [description] 1 to 13 of the same
 * @property {boolean} [again] the person wants to pay although an earlier payment of the
 *   same may still be charged. Never set it without asking them.
 *
 * @typedef {object} Problem What the function says instead of doing it.
 * @property {string} type
 * @property {string} message
 * @property {boolean} [claimed]
 * @property {string} [id]
 * @property {Object<string, string>} [fields]
 * @property {string} [responseCode]
 * @property {number} [retryAfter]
 *
 * @typedef {{status?: string, error?: Problem}} Answer
 *
 * @typedef {{method: string, attribute?: string, values: any[]}} Query
 *
 * @typedef {object} Explanation
 * @property {string} en
 * @property {string} sw
 * @property {boolean} askAgain the same may be asked for again, and nobody pays twice
 * @property {string} cause a failure to treat by itself, such as wrong_pin; mostly empty
 */

/** The seconds after which the document is read, beside Realtime, which repeats nothing. */
const READS = [2, 5, 10, 20, 30, 45];
/** The seconds between the tries to ask, under the same id, if no answer came, or one that proves nothing. */
const ASKS = [2, 5, 10];
/** From then on the function is told to ask Safaricom, so often, until that. */
const CHECK_FROM = 60, CHECK_EVERY = 15, GIVE_UP = 120;
/** The seconds for which an answer is waited for then. */
const PATIENCE = 10;
/** The seconds after which a read, and a call of the function, count as not answered. */
const READ_TAKES = 10, CALL_TAKES = 40;
/** The seconds between two reads of what is watched, while that works and while it does not. */
const WATCH_EVERY = 15, WATCH_AGAIN = 3;

/**
 * What a status is worth: one never goes back to a lower one.
 * @type {Record<string, number>}
 */
const RANK = { PENDING: 1, TIMEOUT: 2, FAILED: 3, CANCELLED: 3, SUCCESS: 4 };
/** @type {Record<string, Name>} */
const NAMES = { SUCCESS: 'Success', FAILED: 'Failed', CANCELLED: 'Cancelled', TIMEOUT: 'Timeout' };
const LAST = new Set(['Success', 'Failed', 'Cancelled', 'Timeout', 'Error']);

/**
 * A refusal. Its type is one of the function's: invalid_argument, unauthenticated,
 * forbidden, conflict, not_found, busy, rejected, credentials, unavailable, not_configured.
 */
export class DarajaError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.message);
    this.name = 'DarajaError';
    this.type = problem.type;
    /** The fields that are wrong, each with what it must be. */
    this.fields = problem.fields ?? {};
    /** Safaricom's code, where it has refused. */
    this.responseCode = problem.responseCode ?? '';
    /** The seconds after which to try again; 0 if time does not help. */
    this.retryAfter = problem.retryAfter ?? 0;
  }
}

/** One state of a stream. */
export class State {
  /**
   * @param {Name} name
   * @param {string} id
   * @param {{document?: ?PaymentDocument, error?: ?DarajaError, instead?: boolean}} [more]
   *   instead: this payment stood in the way of the one that was asked for
   */
  constructor(name, id, { document = null, error = null, instead = false } = {}) {
    this.name = name;
    /** The payment's id, which is that of its document. It changes if another one was open already. */
    this.id = id;
    /** The document as it was last seen; null until it was. */
    this.document = document;
    /** Why nothing was sent; null unless this is Error. */
    this.error = error;
    /** The stream ends here. */
    this.last = LAST.has(name);
    /**
     * What was asked for was not sent, since this other payment stood in the way, and its
     * outcome is not known. Only a new request with again can be sent: if the person wants
     * that, told that the earlier one may still be charged.
     */
    this.mayPayAgain = instead && name === 'Timeout';
    const said = explain(statusOf(name), document);
    /** The same may be asked for again, under a new id, and nobody pays twice. */
    this.askAgain = name === 'Error' || said.askAgain;
    this.cause = said.cause;
    Object.freeze(this);
  }

  /**
   * What to tell the person.
   * @param {Language} language
   */
  text(language) {
    if (this.name === 'Idle' || this.name === 'Initiating') return '';
    if (this.name === 'Success' && this.document && !this.document.receipt) return receiptFollows[language];
    // The document may be behind: a stream that gave up has one that still says PENDING.
    return explain(statusOf(this.name), this.document)[language];
  }
}

/**
 * The state that a document is in.
 * @param {PaymentDocument} document
 */
export function stateOf(document) {
  return new State(NAMES[document.status] ?? 'Pending', document.$id, { document });
}

/** @param {Name} name */
function statusOf(name) {
  /** @type {Partial<Record<Name, string>>} */
  const statuses = { Success: 'SUCCESS', Failed: 'FAILED', Cancelled: 'CANCELLED', Timeout: 'TIMEOUT', Error: 'FAILED' };
  return statuses[name] ?? 'PENDING';
}

/**
 * What to tell the person of a payment, by its status, its result code and its reason,
 * which begins with the code if that is a word, or says why nothing was sent. The status
 * decides: a code says more only if it has that status. A status that nobody knows is
 * explained like TIMEOUT.
 *
 * @param {string} status
 * @param {?Pick<PaymentDocument, 'resultCode'|'failureReason'>} [document]
 * @returns {Explanation}
 */
export function explain(status, document) {
  let code = String(document?.resultCode ?? '');
  const reason = document?.failureReason ?? '';
  if (code === '-1') code = reason.split(':', 1)[0];
  if (code === 'NOT_SENT') code = reason.split(';', 1)[0];
  const row = (/** @type {string} */ of, /** @type {string} */ code) => messages.find((m) => m.status === of && m.code === code);
  return /** @type {Explanation} */ ((code && row(status, code)) || row(status, '') || row('TIMEOUT', ''));
}

/** Payments of one collection, asked for through one function. */
export class Daraja {
  #client; #functions; #databases; #functionId; #databaseId; #collectionId;
  /** @type {Set<(document: PaymentDocument) => void>} */
  #listeners = new Set();
  /** @type {?() => void} */
  #unsubscribe = null;

  /**
   * @param {object} settings
   * @param {any} settings.client a Client of the SDK, whichever version it is
   * @param {any} settings.functions
   * @param {any} settings.databases
   * @param {string} [settings.functionId]
   * @param {string} [settings.databaseId]
   * @param {string} [settings.collectionId]
   */
  constructor({ client, functions, databases, functionId = 'daraja', databaseId = 'daraja', collectionId = 'payments' }) {
    this.#client = client;
    this.#functions = functions;
    this.#databases = databases;
    this.#functionId = functionId;
    this.#databaseId = databaseId;
    this.#collectionId = collectionId;
  }

  /**
   * Asks a phone for a payment, whether or not anybody reads its states. What runs now runs
   * to its end first: whoever keeps the payment's id there can resume it, whatever happens.
   * Keep the id of each state as well: if a payment was open already, the stream goes on
   * with that one, under its id, and that is the one to resume.
   * @param {PaymentRequest} request
   * @returns {Payment}
   */
  pay(request) {
    const payment = new Payment(this, newID());
    queueMicrotask(() => payment.ask(request));
    return payment;
  }

  /**
   * Goes on with a payment that was asked for before, by this page or another: with the id
   * of its latest state, which is not always the first.
   * @param {string} id
   * @returns {Payment}
   */
  resume(id) {
    const payment = new Payment(this, id);
    payment.wait();
    return payment;
  }

  /**
   * Goes on with every payment of this user that has no verdict.
   * @returns {Promise<Payment[]>}
   */
  async pending() {
    const open = await this.list([{ method: 'equal', attribute: 'status', values: ['PENDING'] }]);
    return open.map((document) => this.resume(document.$id));
  }

  /**
   * Watches all payments with one of these references: what is stored now, and each change.
   * @param {string[]} references at most 100
   * @param {(seen: {documents: PaymentDocument[], live: boolean}) => void} tell is called
   *   first when they were read, or could not be; live is false while they cannot
   * @returns {Watch}
   */
  watch(references, tell) {
    return new Watch(this, references, tell);
  }

  /**
   * Reads one payment; null if there is none yet, or it cannot be read.
   * @param {string} id
   * @returns {Promise<?PaymentDocument>}
   */
  async read(id) {
    try {
      return await within(READ_TAKES, this.#databases.getDocument(this.#databaseId, this.#collectionId, id));
    } catch {
      return null;
    }
  }

  /**
   * Lists payments, all pages.
   * @param {Query[]} queries
   * @returns {Promise<PaymentDocument[]>}
   */
  async list(queries) {
    /** @type {PaymentDocument[]} */
    const all = [];
    for (let /** @type {Query[]} */ cursor = []; ;) {
      const wanted = [...queries, { method: 'limit', values: [100] }, ...cursor].map((q) => JSON.stringify(q));
      /** @type {{documents: PaymentDocument[]}} */
      const { documents } = await within(READ_TAKES, this.#databases.listDocuments(this.#databaseId, this.#collectionId, wanted));
      all.push(...documents);
      if (documents.length < 100) return all;
      cursor = [{ method: 'cursorAfter', values: [documents[99].$id] }];
    }
  }

  /**
   * Posts to the function. What comes back is the function's own answer, or null if there
   * is none: nobody knows then what it did.
   * @param {string} path
   * @param {object} body
   * @returns {Promise<?Answer>}
   */
  async call(path, body) {
    try {
      const { responseBody } = await within(CALL_TAKES, this.#functions.createExecution(this.#functionId, JSON.stringify(body), false, path, 'POST'));
      const answer = JSON.parse(responseBody);
      return typeof answer?.status === 'string' || typeof answer?.error?.type === 'string' ? answer : null;
    } catch {
      return null;
    }
  }

  /**
   * Calls hear with each document that is created or changed, until the returned function
   * is called. There is one subscription for all, to the collection: Appwrite sends each
   * user their own documents only.
   * @param {(document: PaymentDocument) => void} hear
   * @returns {() => void}
   */
  listen(hear) {
    this.#listeners.add(hear);
    this.#unsubscribe ??= this.#client.subscribe(
      `databases.${this.#databaseId}.collections.${this.#collectionId}.documents`,
      (/** @type {{payload: PaymentDocument}} */ { payload }) => payload?.$id && this.#listeners.forEach((hear) => hear(payload)));
    return () => {
      this.#listeners.delete(hear);
      if (this.#listeners.size > 0) return;
      this.#unsubscribe?.();
      this.#unsubscribe = null;
    };
  }
}

/**
 * One payment: its states, one after another, for `for await` and for callbacks. A loop
 * begins with the present state and ends after the last one, or when the payment is closed;
 * leaving it early stops nothing but the loop.
 */
export class Payment {
  #daraja; #state; #asking = false; #closed = false;
  /** @type {Set<(state: State) => void>} */
  #followers = new Set();
  /** @type {Set<() => void>} what wakes the loops that wait for a state */
  #sleepers = new Set();
  /** @type {(() => void)[]} */
  #stops = [];

  /**
   * @param {Daraja} daraja
   * @param {string} id
   */
  constructor(daraja, id) {
    this.#daraja = daraja;
    this.#state = new State('Idle', id);
    /**
     * Set if another payment of this user was open, and nothing was sent: the stream goes
     * on with that one, under its id. It may have another amount and reference.
     * @type {?DarajaError}
     */
    this.busy = null;
  }

  get state() { return this.#state; }
  get id() { return this.#state.id; }

  /**
   * Calls back with the present state, and with each one that follows.
   * @param {(state: State) => void} follow
   * @returns {() => void} ends it
   */
  onState(follow) {
    if (!this.#over) this.#followers.add(follow);
    tell(follow, this.#state);
    return () => this.#followers.delete(follow);
  }

  async *[Symbol.asyncIterator]() {
    /** @type {State[]} */
    const states = [];
    let wake = () => {};
    const awake = () => wake();
    const stop = this.onState((state) => { states.push(state); wake(); });
    this.#sleepers.add(awake);
    try {
      for (;;) {
        for (const state of states.splice(0)) {
          yield state;
          if (state.last) return;
        }
        if (states.length > 0) continue; // that came while the loop was busy
        if (this.#closed) return;
        await new Promise((resolve) => { wake = () => resolve(undefined); });
      }
    } finally {
      stop();
      this.#sleepers.delete(awake);
    }
  }

  /**
   * Ends the stream where it stands: no callback follows, each loop ends after the states
   * that it has not had yet, and nothing more is asked, read or checked. What was asked for
   * is not taken back, and may still be paid: resume its id to learn of it.
   */
  close() {
    this.#closed = true;
    this.#followers.clear();
    this.#rest();
    for (const wake of this.#sleepers) wake();
  }

  /** Nothing changes the state any more. */
  get #over() { return this.#closed || this.#state.last; }

  /** @param {PaymentRequest} request */
  async ask(request) {
    if (this.#closed) return;
    const body = { id: this.id, ...request }, began = Date.now();
    this.#become('Initiating');
    this.#watch();
    this.#asking = true;
    for (let asked = 0; !this.#over; asked++) {
      const answer = await this.#daraja.call('/stk/push', body);
      if (this.#over) return;
      if (answer?.error && this.#refused(answer.error, asked)) return;
      if (answer && !answer.error || asked === ASKS.length) break;
      this.#pending();
      await this.#pause(ASKS[asked]);
      // A page that slept meanwhile must not make the phone ring when nobody expects it.
      if (Date.now() - began >= GIVE_UP * 1000) break;
    }
    this.#asking = false;
    this.#pending();
    this.#look();
  }

  /** Waits for a payment that was asked for. */
  wait() {
    this.#pending();
    this.#watch();
    this.#look();
  }

  /**
   * Deals with a refusal, and returns false if it does not matter. After an ask without an
   * answer only one about this call's own claim proves that nothing was sent.
   * @param {Problem} problem
   * @param {number} asked how often there was no answer
   */
  #refused(problem, asked) {
    if (problem.type === 'busy' && problem.id) {
      // Another payment is open, of the same or on the same phone: that one is to be waited for.
      this.busy = new DarajaError(problem);
      this.#rest();
      this.#asking = false;
      this.#state = new State('Pending', problem.id);
      this.#tell();
      this.#watch();
      this.#look();
      return true;
    }
    if (!problem.claimed && asked > 0) return false;
    this.#become('Error', { error: new DarajaError(problem) });
    return true;
  }

  /** Sees to it that every change of the document is noticed, and that this ends. */
  #watch() {
    if (this.#closed) return;
    const look = () => this.#look();
    this.#stops.push(this.#daraja.listen((document) => document.$id === this.id && this.#see(document)), onForeground(look));
    for (const seconds of READS) this.#after(seconds, look);
    for (let seconds = CHECK_FROM; seconds <= GIVE_UP; seconds += CHECK_EVERY) {
      this.#after(seconds, async () => {
        // A page that slept asks once more before it gives up, but waits for no answer for ever.
        await Promise.race([this.#check(), this.#pause(PATIENCE)]);
        if (seconds === GIVE_UP) this.#become('Timeout', { document: this.#state.document });
      });
    }
  }

  async #check() {
    await this.#daraja.call('/stk/check', { id: this.id });
    await this.#look();
  }

  async #look() {
    if (this.#over) return;
    const document = await this.#daraja.read(this.id);
    if (document?.$id === this.id) this.#see(document);
  }

  /** @param {PaymentDocument} document */
  #see(document) {
    const name = NAMES[document.status];
    // A claim that was never sent. Its answer says why, and may name another payment.
    if (name === 'Failed' && this.#asking && !document.checkoutRequestId) return;
    if (name) this.#become(name, { document });
    else if (!this.#asking || document.checkoutRequestId) this.#become('Pending', { document });
  }

  #pending() {
    if (this.#state.name !== 'Pending') this.#become('Pending', { document: this.#state.document });
  }

  /**
   * @param {Name} name
   * @param {{document?: ?PaymentDocument, error?: ?DarajaError}} [more]
   */
  #become(name, more) {
    if (this.#over) return;
    if (name === 'Pending' && this.#state.name === 'Pending' && this.#state.document?.$updatedAt === more?.document?.$updatedAt) return;
    this.#state = new State(name, this.id, { ...more, instead: this.busy !== null });
    this.#tell();
  }

  #tell() {
    for (const follow of this.#followers) tell(follow, this.#state);
    if (!this.#state.last) return;
    this.#followers.clear();
    this.#rest();
  }

  /**
   * @param {number} seconds
   * @param {() => void} then
   */
  #after(seconds, then) {
    const timer = setTimeout(then, seconds * 1000);
    this.#stops.push(() => clearTimeout(timer));
  }

  /** @param {number} seconds */
  #pause(seconds) {
    return new Promise((resolve) => this.#after(seconds, () => resolve(undefined)));
  }

  #rest() {
    for (const stop of this.#stops.splice(0)) stop();
  }
}

/** What [Daraja.watch] returns. */
class Watch {
  #daraja; #references; #tell; #closed = false;
  /** @type {?boolean} whether all could be read the last time; null before the first */
  #live = null;
  /** How many reads have begun, and the latest that worked. */
  #begun = 0; #worked = 0;
  /** @type {Map<string, PaymentDocument>} */
  #documents = new Map();
  /** @type {ReturnType<typeof setTimeout>|undefined} */
  #timer;
  /** @type {(() => void)[]} */
  #stops;

  /**
   * @param {Daraja} daraja
   * @param {string[]} references
   * @param {(seen: {documents: PaymentDocument[], live: boolean}) => void} tell
   */
  constructor(daraja, references, tell) {
    this.#daraja = daraja;
    this.#references = references;
    this.#tell = tell;
    this.#stops = [
      daraja.listen((document) => this.see(document)),
      onForeground(() => this.refresh()),
    ];
    // Once more when the subscription is surely in force: no SDK says when that is.
    const again = setTimeout(() => this.refresh(), READS[0] * 1000);
    this.#stops.push(() => clearTimeout(again));
    this.refresh();
  }

  /**
   * Takes a document that was seen elsewhere, such as in a state of a [Payment].
   * @param {PaymentDocument} document
   */
  see(document) {
    if (this.#references.includes(document.reference ?? '') && this.#put([document])) this.#say();
  }

  /**
   * Reads all again, which happens by itself, too. What is new is told before it returns.
   * @returns {Promise<boolean>} whether all could be read
   */
  async refresh() {
    clearTimeout(this.#timer);
    const nth = ++this.#begun;
    let changed = false, read = true;
    try {
      const documents = await this.#daraja.list([{ method: 'equal', attribute: 'reference', values: this.#references }]);
      changed = this.#put(documents);
    } catch {
      read = false;
    }
    if (this.#closed) return false;
    if (!read && nth < this.#worked) return false; // one that began later says more than what hung
    if (read) this.#worked = Math.max(this.#worked, nth);
    const before = this.#live;
    this.#live = read;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), (read ? WATCH_EVERY : WATCH_AGAIN) * 1000);
    if (changed || before !== read) this.#say();
    return read;
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const stop of this.#stops.splice(0)) stop();
  }

  /**
   * Takes what is news: a reply may be older than an event that was faster.
   * @param {PaymentDocument[]} documents
   */
  #put(documents) {
    let news = false;
    for (const d of documents) {
      const known = this.#documents.get(d.$id);
      const rank = (RANK[d.status] ?? 0) - (RANK[known?.status ?? ''] ?? 0);
      if (known && (rank < 0 || rank === 0 && d.$updatedAt <= known.$updatedAt)) continue;
      this.#documents.set(d.$id, d);
      news = true;
    }
    return news;
  }

  #say() {
    if (this.#closed || this.#live === null) return;
    tell(this.#tell, { documents: [...this.#documents.values()], live: this.#live });
  }
}

/**
 * What comes of a request, if it comes within so many seconds. Nobody waits for what hangs:
 * that is an error, and whatever comes of it later is ignored.
 * @template T
 * @param {number} seconds
 * @param {Promise<T>} request
 * @returns {Promise<T>}
 */
export function within(seconds, request) {
  /** @type {ReturnType<typeof setTimeout>} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${seconds} seconds`)), seconds * 1000);
  });
  return Promise.race([request, late]).finally(() => clearTimeout(timer));
}

/**
 * Calls back. What is wrong with the page's own code is reported, and stops no stream.
 * @template T
 * @param {(told: T) => void} callback
 * @param {T} told
 */
function tell(callback, told) {
  try {
    callback(told);
  } catch (e) {
    (globalThis.reportError ?? console.error)(e);
  }
}

/**
 * Calls back whenever the page may have missed something: it came to the foreground, out
 * of the cache, or onto the network.
 * @param {() => void} callback
 * @returns {() => void} ends it
 */
function onForeground(callback) {
  if (typeof window === 'undefined') return () => {};
  const visible = () => document.visibilityState === 'visible' && callback();
  window.addEventListener('online', callback);
  window.addEventListener('pageshow', callback);
  document.addEventListener('visibilitychange', visible);
  return () => {
    window.removeEventListener('online', callback);
    window.removeEventListener('pageshow', callback);
    document.removeEventListener('visibilitychange', visible);
  };
}

/** An id as Appwrite makes them: 20 hexadecimal digits. */
function newID() {
  return Array.from(crypto.getRandomValues(new Uint8Array(10)), (b) => b.toString(16).padStart(2, '0')).join('');
}
