// The rules of a stream, with an Appwrite that answers as told and a clock that is moved.

import assert from 'node:assert/strict';
import { beforeEach, mock, test } from 'node:test';
import { Daraja, explain, within } from '../daraja.js';

const ID = '000000000000000000a1', OTHER = '000000000000000000b2';
const REQUEST = { phone: '0712345678', amount: 250, reference: 'ORDER-7' };
const LOST = new Error('Failed to fetch');

/** A document as the server has it; $updatedAt grows with each. */
let written = 0;
const stored = (status, more = {}) => ({
  $id: ID, $createdAt: '2026-11-26T08:00:00.000+00:00', $updatedAt: `2026-11-26T08:00:00.${String(++written).padStart(3, '0')}+00:00`,
  status, checkoutRequestId: 'ws_CO_1', resultCode: null, receipt: null, amount: null, requestedAmount: 250, reference: 'ORDER-7', failureReason: null, ...more,
});
const paid = () => stored('SUCCESS', { resultCode: 0, receipt: 'UKN4T8W2QD', amount: 250 });
const answer = (body) => ({ responseStatusCode: 200, responseBody: JSON.stringify(body) });
const accepted = (status = 'PENDING') => answer({ id: ID, status, checkoutRequestId: 'ws_CO_1', customerMessage: '' });
const refusal = (type, more = {}) => answer({ error: { type, message: type, claimed: false, ...more } });

/** An Appwrite that answers calls of the function in this order, and the last for ever. */
class Server {
  calls = []; document = null; reads = 0; opened = 0; closed = 0;

  constructor(...answers) { this.answers = answers; }

  daraja() {
    return new Daraja({
      client: { subscribe: (channel, hear) => { this.channel = channel; this.hear = hear; this.opened++; return () => { this.closed++; }; } },
      databases: {
        getDocument: async (_d, _c, id) => {
          this.reads++;
          if (this.slow) return this.slow();
          if (this.document?.$id !== id) throw Object.assign(new Error('not found'), { code: 404 });
          return this.document;
        },
        listDocuments: async (_d, _c, queries) => ({ documents: (await this.list?.(queries)) ?? [] }),
      },
      functions: {
        createExecution: async (_f, body, async, path, method) => {
          this.calls.push({ path, body: JSON.parse(body), async, method });
          const next = this.answers.length > 1 ? this.answers.shift() : this.answers[0];
          if (next instanceof Error) throw next;
          return typeof next === 'function' ? next() : next;
        },
      },
    });
  }

  publish(document) { this.document = document; this.hear({ events: [], payload: document }); }

  pushes() { return this.calls.filter((c) => c.path === '/stk/push'); }

  checks() { return this.calls.filter((c) => c.path === '/stk/check'); }
}

beforeEach(() => {
  mock.restoreAll();
  mock.timers.reset();
  mock.method(crypto, 'getRandomValues', (bytes) => { bytes[bytes.length - 1] = 0xa1; return bytes; }); // ID
  mock.timers.enable({ apis: ['setTimeout', 'Date'] });
});

/** Lets everything happen that waits for nothing but its turn. */
async function settle() { for (let i = 0; i < 40; i++) await Promise.resolve(); }

async function pass(seconds) {
  for (let s = 0; s < seconds; s++) {
    mock.timers.tick(1000);
    await settle();
  }
}

/** Starts a payment and notes its states. */
async function started(server) {
  const payment = server.daraja().pay(REQUEST), states = [];
  payment.onState((s) => states.push(s));
  await settle();
  return { payment, states, names: () => states.map((s) => s.name).join(' ') };
}

test('from asking to the receipt', async () => {
  const server = new Server(accepted());
  const { payment, states, names } = await started(server);
  assert.equal(names(), 'Idle Initiating Pending');
  assert.equal(server.channel, 'databases.daraja.collections.payments.documents');
  assert.deepEqual(server.calls, [{ path: '/stk/push', body: { id: ID, ...REQUEST }, async: false, method: 'POST' }]);
  server.publish(paid());
  assert.equal(names(), 'Idle Initiating Pending Success');
  assert.equal(states.at(-1).document.receipt, 'UKN4T8W2QD');
  assert.equal(payment.state.last, true);
  assert.equal(server.closed, 1, 'the subscription has ended');
  const reads = server.reads;
  await pass(200);
  assert.equal(server.reads, reads, 'nothing is read any more');
  assert.equal(names(), 'Idle Initiating Pending Success');
});

test('a payment without its receipt says that the receipt follows', async () => {
  for (const [receipt, en, sw] of [[null, /receipt follows/, /Risiti itafuata/], ['', /receipt follows/, /Risiti itafuata/], ['UKN4T8W2QD', /Thank you/, /Asante/]]) {
    const server = new Server(accepted());
    const { payment } = await started(server);
    server.publish({ ...paid(), receipt });
    assert.match(payment.state.text('en'), en);
    assert.match(payment.state.text('sw'), sw);
  }
});

test('the iterator ends with the last state', async () => {
  const server = new Server(accepted()), seen = [];
  const payment = server.daraja().pay(REQUEST);
  const done = (async () => { for await (const s of payment) seen.push(s.name); })();
  await settle();
  server.publish(stored('CANCELLED', { resultCode: 1032 }));
  await done;
  assert.deepEqual(seen, ['Idle', 'Initiating', 'Pending', 'Cancelled']);
  for await (const s of payment) seen.push(s.name);
  assert.equal(seen.at(-1), 'Cancelled', 'a later loop sees how it ended');
});

test('a loop that is slow misses no state', async () => {
  const server = new Server(accepted()), seen = [];
  const done = (async () => {
    for await (const s of server.daraja().pay(REQUEST)) {
      seen.push(s.name);
      await new Promise((resolve) => { setTimeout(resolve, 3000); });
    }
  })();
  await pass(1);
  server.publish(paid());
  await pass(12);
  await done;
  assert.deepEqual(seen, ['Idle', 'Initiating', 'Pending', 'Success']);
});

test('each payment has an id of its own, which can be kept before anything is sent', async () => {
  crypto.getRandomValues.mock.restore();
  const server = new Server(accepted()), daraja = server.daraja();
  const ids = [daraja.pay(REQUEST).id, daraja.pay(REQUEST).id];
  assert.equal(server.calls.length, 0);
  await settle();
  assert.deepEqual(server.calls.map((c) => c.body.id), ids);
  for (const id of ids) assert.match(id, /^[0-9a-f]{20}$/);
  assert.notEqual(ids[0], ids[1]);
});

test('close ends every loop, after the states that came before', async () => {
  const server = new Server(accepted()), seen = [];
  const payment = server.daraja().pay(REQUEST);
  const loops = [0, 1].map(async () => { for await (const s of payment) seen.push(s.name); });
  await settle();
  payment.close();
  await Promise.all(loops);
  assert.deepEqual(seen.sort(), ['Idle', 'Idle', 'Initiating', 'Initiating', 'Pending', 'Pending']);
  for await (const s of payment) seen.push(s.name);
  assert.equal(seen.at(-1), 'Pending', 'a later loop has the state that was left');
  let heard = 0;
  payment.onState(() => { heard++; });
  server.hear({ payload: paid() });
  await pass(200);
  assert.deepEqual([heard, payment.state.name, server.closed], [1, 'Pending', 1]);
});

for (const [name, answered] of [['no reply', LOST], ['busy with another payment', refusal('busy', { claimed: true, id: OTHER })], ['an acceptance', accepted()]]) {
  test(`closed while it asks, then ${name}: nothing more is asked or read`, async () => {
    let reply;
    const server = new Server(() => new Promise((resolve, reject) => { reply = answered === LOST ? reject : resolve; }), LOST);
    const { payment, names } = await started(server);
    payment.close();
    reply(answered);
    await pass(200);
    assert.deepEqual([server.calls.length, server.reads, server.closed, payment.busy, names()], [1, 0, 1, null, 'Idle Initiating']);
  });
}

test('closed between two asks, or before the first, it asks no more', async () => {
  const server = new Server(LOST);
  const { payment } = await started(server);
  payment.close();
  const unsent = server.daraja().pay(REQUEST);
  unsent.close();
  await pass(200);
  assert.equal(server.calls.length, 1);
});

test('closed by a callback, at whatever state, it leaves nothing running', async () => {
  for (const [at, calls] of [['Initiating', 0], ['Pending', 1]]) {
    const server = new Server(refusal('busy', { claimed: true, id: OTHER }));
    const payment = server.daraja().pay(REQUEST);
    payment.onState(({ name }) => { if (name === at) payment.close(); });
    await pass(200);
    assert.deepEqual([server.calls.length, server.reads, server.opened - server.closed], [calls, 0, 0], at);
  }
});

test('closed while it checks, it reads nothing more', async () => {
  let reply;
  const server = new Server(accepted(), () => new Promise((resolve) => { reply = resolve; }));
  const { payment } = await started(server);
  await pass(60);
  payment.close();
  const { reads } = server;
  reply(answer({ status: 'PENDING' }));
  await pass(200);
  assert.deepEqual([server.reads, server.checks().length, payment.state.name], [reads, 1, 'Pending']);
});

for (const [name, document, want] of [
  ['SUCCESS', paid(), 'Success'], ['FAILED', stored('FAILED', { resultCode: 2001 }), 'Failed'],
  ['CANCELLED', stored('CANCELLED', { resultCode: 1032 }), 'Cancelled'], ['TIMEOUT', stored('TIMEOUT', { resultCode: 1037 }), 'Timeout'],
]) {
  test(`without Realtime, ${name} is read`, async () => {
    const server = new Server(accepted());
    const { names } = await started(server);
    server.document = document;
    await pass(2);
    assert.equal(names(), `Idle Initiating Pending ${want}`);
  });
}

test('reads come at 2, 5, 10, 20, 30 and 45 s', async () => {
  const server = new Server(accepted());
  await started(server);
  const at = [];
  for (let s = 1, before = server.reads; s < 60; s++, before = server.reads) {
    await pass(1);
    if (server.reads > before) at.push(s);
  }
  assert.deepEqual(at, [2, 5, 10, 20, 30, 45]);
});

test('Safaricom is asked from 60 s on, and 120 s end it', async () => {
  const server = new Server(accepted());
  const { states, names } = await started(server);
  server.document = stored('PENDING');
  await pass(59);
  assert.equal(server.checks().length, 0);
  await pass(1);
  assert.deepEqual(server.checks().map((c) => c.body), [{ id: ID }]);
  await pass(59);
  assert.equal(server.checks().length, 4);
  assert.equal(states.at(-1).name, 'Pending');
  await pass(1);
  assert.equal(names().split(' ').at(-1), 'Timeout');
  const { mayPayAgain, askAgain } = states.at(-1);
  assert.deepEqual({ mayPayAgain, askAgain }, { mayPayAgain: false, askAgain: false }, 'no other payment stood in the way');
  for (const language of ['en', 'sw']) assert.doesNotMatch(states.at(-1).text(language), /fail|not completed|hayakukamilika/i);
  assert.equal(server.pushes().length, 1);
});

test('what is found at the last moment counts', async () => {
  const server = new Server(accepted());
  const { names } = await started(server);
  await pass(119);
  server.document = paid();
  await pass(1);
  assert.equal(names(), 'Idle Initiating Pending Success');
});

test('a check that is never answered does not keep it from ending', async () => {
  const server = new Server(accepted(), () => new Promise(() => {}));
  const { names } = await started(server);
  await pass(129);
  assert.equal(names(), 'Idle Initiating Pending');
  await pass(1);
  assert.equal(names(), 'Idle Initiating Pending Timeout');
  assert.equal(server.checks().length, 5);
});

test("an ask that is never answered does not keep it from being found", async () => {
  const server = new Server(() => new Promise(() => {}));
  const { names } = await started(server);
  assert.equal(names(), 'Idle Initiating');
  server.document = paid();
  await pass(2);
  assert.equal(names(), 'Idle Initiating Success');
});

test('a request that hangs is no answer: it is asked again, and a late one is ignored', async () => {
  let late;
  const server = new Server(() => new Promise((_, reject) => { late = reject; }), accepted());
  const { names } = await started(server);
  await pass(39);
  assert.equal(names(), 'Idle Initiating');
  await pass(3);
  assert.equal(names(), 'Idle Initiating Pending');
  assert.deepEqual(server.pushes().map((c) => c.body.id), [ID, ID]);
  late(LOST);
  await new Promise((resolve) => { setImmediate(resolve); }); // a rejection that nobody handles fails the test
});

test('reads and lists that hang are given up after 10 s', async () => {
  const server = new Server(), daraja = server.daraja();
  server.slow = server.list = () => new Promise(() => {});
  const outcomes = [];
  daraja.read(ID).then((document) => outcomes.push(document));
  daraja.pending().catch((e) => outcomes.push(e.message));
  await pass(9);
  assert.deepEqual(outcomes, []);
  await pass(1);
  assert.deepEqual(outcomes, [null, 'no answer within 10 seconds']);
});

test('what is answered in time leaves no timer', async () => {
  const cleared = mock.method(globalThis, 'clearTimeout');
  assert.equal(await within(10, Promise.resolve('x')), 'x');
  await assert.rejects(within(10, Promise.reject(LOST)), LOST);
  assert.equal(cleared.mock.callCount(), 2);
});

test("an error in the page's own code stops no stream", async () => {
  const reported = mock.method(console, 'error', () => {});
  const server = new Server(accepted());
  const payment = server.daraja().pay(REQUEST);
  payment.onState(() => { throw new Error('in the page'); });
  const names = [];
  payment.onState((s) => names.push(s.name));
  await settle();
  server.publish(paid());
  assert.deepEqual(names, ['Idle', 'Initiating', 'Pending', 'Success']);
  assert.equal(reported.mock.callCount(), 4);
});

test('a refusal of the first ask is an Error', async () => {
  const server = new Server(refusal('invalid_argument', { fields: { phone: 'must be a number' } }));
  const { states, names } = await started(server);
  assert.equal(names(), 'Idle Initiating Error');
  const { error } = states.at(-1);
  assert.deepEqual([error.type, error.fields, states.at(-1).askAgain], ['invalid_argument', { phone: 'must be a number' }, true]);
});

for (const [name, nothing] of [
  ['no reply', LOST], ["an error of Appwrite's", Object.assign(new Error('timeout'), { code: 408, type: 'function_synchronous_timeout' })],
  ['a reply without JSON', { responseStatusCode: 500, responseBody: '' }], ['JSON of somebody else', answer({ message: 'hello' })],
]) {
  test(`after ${name} the same id is asked again, and nothing is said to have failed`, async () => {
    const server = new Server(nothing);
    const { names } = await started(server);
    assert.equal(names(), 'Idle Initiating Pending');
    for (const [seconds, asked] of [[1, 1], [1, 2], [4, 2], [1, 3], [9, 3], [1, 4], [30, 4]]) {
      await pass(seconds);
      assert.equal(server.pushes().length, asked);
    }
    assert.deepEqual(new Set(server.pushes().map((c) => c.body.id)), new Set([ID]));
    await pass(80);
    assert.equal(names(), 'Idle Initiating Pending Timeout');
  });
}

test('a page that slept asks for nothing new', async () => {
  const server = new Server(LOST, accepted());
  const { names } = await started(server);
  mock.timers.tick(3600 * 1000); // every timer is due at once
  await settle();
  assert.equal(server.pushes().length, 1, 'no prompt comes an hour later');
  await pass(10);
  assert.equal(names(), 'Idle Initiating Pending Timeout');
});

test('after an ask without an answer, a refusal proves nothing', async () => {
  for (const type of ['unavailable', 'conflict', 'unauthenticated']) {
    const server = new Server(LOST, refusal(type));
    const { names } = await started(server);
    await pass(3);
    assert.equal(names(), 'Idle Initiating Pending', type);
    server.publish(paid());
    assert.equal(names(), 'Idle Initiating Pending Success', type);
  }
});

test('after such a refusal it goes on asking, and what then comes counts', async () => {
  const server = new Server(LOST, refusal('unavailable'), refusal('unavailable'), accepted());
  const { names } = await started(server);
  for (const [seconds, asked] of [[1, 1], [1, 2], [4, 2], [1, 3], [9, 3], [1, 4], [30, 4]]) {
    await pass(seconds);
    assert.equal(server.pushes().length, asked);
  }
  assert.deepEqual(new Set(server.pushes().map((c) => c.body.id)), new Set([ID]));
  assert.equal(names(), 'Idle Initiating Pending');
  const refused = new Server(LOST, refusal('unavailable'), refusal('rejected', { claimed: true }));
  const other = await started(refused);
  await pass(30);
  assert.equal(other.names(), 'Idle Initiating Pending Error', 'a refusal of its own claim ends it');
  assert.equal(refused.pushes().length, 3);
});

test("after an ask without an answer, a refusal of this call's own claim is an Error", async () => {
  const server = new Server(LOST, refusal('rejected', { claimed: true, responseCode: '500.001.1001' }));
  const { states, names } = await started(server);
  await pass(3);
  assert.equal(names(), 'Idle Initiating Pending Error');
  assert.equal(states.at(-1).error.responseCode, '500.001.1001');
});

test("the reason comes from the answer, though the claim's document is faster", async () => {
  let reply;
  const server = new Server(() => new Promise((resolve) => { reply = resolve; }));
  const { states, names } = await started(server);
  server.publish(stored('FAILED', { resultCode: -1, checkoutRequestId: '', failureReason: 'NOT_SENT: x' }));
  assert.equal(names(), 'Idle Initiating');
  reply(refusal('busy', { claimed: true, retryAfter: 60 }));
  await settle();
  assert.equal(names(), 'Idle Initiating Error');
  assert.equal(states.at(-1).error.retryAfter, 60);
});

test('a claim that was not sent is Failed if its answer was lost', async () => {
  const server = new Server(LOST, accepted('FAILED'));
  const { names } = await started(server);
  server.publish(stored('FAILED', { resultCode: -1, checkoutRequestId: '', failureReason: 'NOT_SENT: x' }));
  await pass(2);
  assert.equal(names(), 'Idle Initiating Pending Failed');
});

test('busy with an id goes on with that payment', async () => {
  const server = new Server(refusal('busy', { claimed: true, id: OTHER, retryAfter: 80 }));
  server.document = { ...stored('PENDING'), $id: OTHER };
  const { payment, states } = await started(server);
  assert.deepEqual([payment.id, payment.state.name, payment.busy.retryAfter], [OTHER, 'Pending', 80]);
  server.publish({ ...stored('FAILED', { checkoutRequestId: '' }), $id: ID });
  assert.equal(payment.state.name, 'Pending', 'its own claim says nothing any more');
  assert.equal(payment.state.mayPayAgain, false, 'its outcome is still to come');
  server.publish({ ...stored('TIMEOUT', { resultCode: 1037 }), $id: OTHER });
  const { name, mayPayAgain } = states.at(-1);
  assert.deepEqual([name, mayPayAgain], ['Timeout', true]);
  assert.equal(server.pushes().length, 1, 'a client never pays again by itself');
});

test('busy with a payment of which nothing is learned', async () => {
  const server = new Server(refusal('busy', { claimed: true, id: OTHER }));
  const { payment } = await started(server);
  await pass(130);
  assert.deepEqual([payment.state.name, payment.state.mayPayAgain], ['Timeout', true]);
});

test('busy with a payment that is paid', async () => {
  const server = new Server(refusal('busy', { claimed: true, id: OTHER }));
  const { payment } = await started(server);
  server.publish({ ...paid(), $id: OTHER });
  assert.deepEqual([payment.state.name, payment.state.mayPayAgain], ['Success', false]);
});

test('what is read late of the first payment says nothing of the other', async () => {
  let reply, read;
  const server = new Server(() => new Promise((resolve) => { reply = resolve; }));
  server.slow = () => new Promise((resolve) => { read = resolve; });
  const { payment } = await started(server);
  await pass(2); // it reads its own document
  server.slow = null;
  reply(refusal('busy', { claimed: true, id: OTHER }));
  await settle();
  read(stored('FAILED', { checkoutRequestId: '' }));
  await settle();
  assert.deepEqual([payment.id, payment.state.name], [OTHER, 'Pending']);
});

test('a resumed payment asks for nothing', async () => {
  const server = new Server(accepted());
  const payment = server.daraja().resume(ID);
  await settle();
  assert.equal(payment.state.name, 'Pending');
  server.document = paid();
  await pass(2);
  assert.equal(payment.state.name, 'Success');
  assert.equal(server.pushes().length, 0);
});

test('after a restart the open payments are streams again', async () => {
  const server = new Server(accepted());
  server.list = (queries) => {
    assert.deepEqual(JSON.parse(queries[0]), { method: 'equal', attribute: 'status', values: ['PENDING'] });
    return [stored('PENDING'), { ...stored('PENDING'), $id: OTHER }];
  };
  const open = await server.daraja().pending();
  assert.deepEqual(open.map((p) => p.id), [ID, OTHER]);
  await pass(1);
  server.publish(paid());
  assert.deepEqual(open.map((p) => p.state.name), ['Success', 'Pending']);
  assert.equal(server.closed, 0, 'one subscription serves both');
  for (const p of open) p.close();
});

test('a watch never goes back', async () => {
  const server = new Server(accepted()), said = [];
  const old = stored('PENDING'), now = paid();
  server.list = () => [old];
  const watch = server.daraja().watch(['ORDER-7'], ({ documents, live }) => said.push([documents.map((d) => d.status).join(), live]));
  await settle();
  server.hear({ payload: now });
  server.hear({ payload: { ...now, $id: OTHER, reference: 'ORDER-8' } });
  await pass(2); // it reads once more, and the list is behind
  assert.deepEqual(said, [['PENDING', true], ['SUCCESS', true]]);
  server.list = () => { throw LOST; };
  await watch.refresh();
  assert.deepEqual(said.at(-1), ['SUCCESS', false]);
  watch.see({ ...paid(), $id: '000000000000000000c3' });
  watch.see({ ...paid(), $id: '000000000000000000d4', reference: 'ORDER-8' });
  assert.deepEqual(said.at(-1), ['SUCCESS,SUCCESS', false]);
  watch.close();
});

test('a watch tells nothing before it has read, and then whatever there is', async () => {
  const server = new Server(), said = [];
  server.list = () => [];
  const daraja = server.daraja();
  const tell = ({ documents, live }) => said.push([documents.map((d) => d.status).join(), live]);
  const empty = daraja.watch(['ORDER-7'], tell);
  server.hear({ payload: stored('PENDING') });
  empty.see(stored('PENDING'));
  assert.deepEqual(said, [], 'that is not all there may be');
  await settle();
  assert.deepEqual(said.splice(0), [['PENDING', true]]);
  empty.close();
  const watch = daraja.watch(['ORDER-8'], tell);
  await settle();
  assert.deepEqual(said.splice(0), [['', true]], 'that there is none is news');
  watch.close();
  server.list = () => { throw LOST; };
  const failing = daraja.watch(['ORDER-8'], tell);
  await settle();
  assert.deepEqual(said, [['', false]]);
  failing.close();
});

test('two reads at once, of which one fails', async () => {
  const server = new Server(), said = [];
  const watch = server.daraja().watch(['ORDER-7'], ({ live }) => said.push(live));
  await settle();
  let reply;
  server.list = () => new Promise((resolve) => { reply = resolve; });
  const slow = watch.refresh();
  server.list = () => { throw LOST; };
  await watch.refresh();
  reply([]);
  await slow;
  assert.deepEqual(said, [true, false, true]);
  watch.close();
});

test('a watch goes on after a list that hung', async () => {
  const server = new Server(), said = [];
  const watch = server.daraja().watch(['ORDER-7'], ({ documents, live }) => said.push([documents.length, live]));
  await pass(3);
  server.list = () => new Promise(() => {});
  await pass(15 + 10);
  assert.deepEqual(said, [[0, true], [0, false]]);
  server.list = () => [paid()];
  await pass(3);
  assert.deepEqual(said.at(-1), [1, true]);
  server.list = () => new Promise(() => {});
  const hangs = watch.refresh();
  server.list = () => [];
  await watch.refresh();
  await pass(10);
  assert.equal(await hangs, false);
  assert.deepEqual(said.at(-1), [1, true], 'a later read worked');
  watch.close();
});

test('a refresh says whether all could be read', async () => {
  const server = new Server();
  const watch = server.daraja().watch(['ORDER-7'], () => {});
  assert.equal(await watch.refresh(), true);
  server.list = () => { throw LOST; };
  assert.equal(await watch.refresh(), false);
  server.list = () => [];
  const late = watch.refresh();
  watch.close();
  assert.equal(await late, false, 'who has closed it learns nothing');
});

test('the status decides what is said, and the code says more', () => {
  assert.match(explain('FAILED', { resultCode: 2001 }).en, /PIN/);
  assert.equal(explain('FAILED', { resultCode: 2001 }).cause, 'wrong_pin');
  assert.doesNotMatch(explain('TIMEOUT', { resultCode: 1 }).en, /balance/);
  assert.match(explain('FAILED', { resultCode: -1, failureReason: 'SFC_IC0003: no operator' }).en, /receiver/);
  assert.equal(explain('FAILED', { resultCode: -1, failureReason: 'NOT_SENT: interrupted' }).askAgain, true);
  assert.equal(explain('SOMETHING', null).en, explain('TIMEOUT', null).en);
});

test('a request that another payment kept from being sent is not to be made again', async () => {
  const failureReason = 'NOT_SENT: another payment is open; finish it first';
  const server = new Server(accepted());
  server.document = stored('FAILED', { resultCode: -1, checkoutRequestId: '', failureReason });
  const payment = server.daraja().resume(ID);
  await settle();
  assert.deepEqual([payment.state.name, payment.state.askAgain], ['Failed', false]);
  assert.match(payment.state.text('en'), /another payment was still open/);
  assert.match(explain('SUCCESS', { resultCode: 0, failureReason }).en, /Thank you/, 'the status decides');
});

for (const event of ['online', 'pageshow', 'visibilitychange']) {
  test(`on ${event} everything is read again`, async (t) => {
    globalThis.window = new EventTarget();
    globalThis.document = Object.assign(new EventTarget(), { visibilityState: 'hidden' });
    t.after(() => { delete globalThis.window; delete globalThis.document; });
    const happens = () => (event === 'visibilitychange' ? document : window).dispatchEvent(new Event(event));
    const server = new Server(accepted()), said = [];
    const { payment } = await started(server);
    server.list = () => (server.document ? [server.document] : []);
    const watch = server.daraja().watch(['ORDER-7'], ({ documents }) => said.push(documents[0].status));
    await settle();
    server.document = paid();
    if (event === 'visibilitychange') {
      happens();
      await settle();
      assert.equal(payment.state.name, 'Pending', 'nobody looks at a hidden page');
      document.visibilityState = 'visible';
    }
    happens();
    await settle();
    assert.equal(payment.state.name, 'Success');
    assert.deepEqual(said, ['SUCCESS']);
    watch.close();
    const { reads } = server;
    happens();
    await settle();
    assert.equal(server.reads, reads, 'what has ended reads no more');
  });
}
