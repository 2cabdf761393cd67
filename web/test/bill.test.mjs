import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csv, decisive, fromHash, neverSent, newCode, paid, phoneNumber, receipts, reference, split, take, toHash } from '../chama/bill.js';
import { State, stateOf } from '../daraja.js';
import { words } from '../chama/words.js';

test('a total is split into whole shillings, and none is lost', () => {
  assert.deepEqual(split(1500, 3), [500, 500, 500]);
  assert.deepEqual(split(100, 3), [34, 33, 33]);
  for (let total = 7; total < 40; total++) assert.equal(split(total, 7).reduce((a, b) => a + b), total);
});

test('phones', () => {
  for (const text of ['0712345678', '712345678', '+254712345678', '254 712 345 678', '0712-345-678']) assert.equal(phoneNumber(text), '254712345678', text);
  assert.equal(phoneNumber('0110 987 654'), '254110987654');
  for (const text of ['', '071234567', '07123456789', '0812345678', '+255712345678', '0712345678x']) assert.equal(phoneNumber(text), '', text);
});

test('only what was paid is in the pot', () => {
  const documents = [
    { status: 'SUCCESS', amount: 500, requestedAmount: 500 }, { status: 'SUCCESS', amount: null, requestedAmount: 300 },
    { status: 'PENDING', amount: null, requestedAmount: 500 }, { status: 'TIMEOUT', amount: 500 }, { status: 'FAILED', requestedAmount: 1 }, { status: 'CANCELLED', requestedAmount: 1 },
  ];
  assert.equal(paid(documents), 800);
  assert.equal(paid([]), 0);
});

test('who paid twice has two receipts', () => {
  assert.deepEqual(receipts([
    { status: 'SUCCESS', receipt: 'UKN4T8W2QD' }, { status: 'SUCCESS', receipt: null }, { status: 'FAILED', receipt: null }, { status: 'SUCCESS', receipt: 'UKN8D3R6YM' },
  ]), ['UKN4T8W2QD', 'UKN8D3R6YM']);
});

const document = (status, more = {}) => ({ $id: 'a', $createdAt: '2026-11-26T08:00:00.000+00:00', status, resultCode: null, receipt: null, ...more });
const attempt = (at, name, document = null) => ({ id: String(at), at, state: new State(name, String(at), { document }) });

test('which attempt counts', () => {
  const unknown = attempt(1, 'Timeout'), failed = attempt(2, 'Failed'), open = attempt(3, 'Pending'), done = attempt(0, 'Success'), refused = attempt(4, 'Error');
  assert.equal(decisive([]), undefined);
  assert.equal(decisive([failed, refused]), refused, 'the latest');
  assert.equal(decisive([unknown, failed, refused]), unknown, 'a later failure hides no payment that may still come');
  assert.equal(decisive([refused, open, unknown]), open);
  assert.equal(decisive([done, open, unknown, failed]), done);
});

test('a document and a stream', () => {
  const attempts = [];
  take(attempts, document('PENDING'));
  assert.equal(attempts[0].state.name, 'Pending');
  attempts[0].state = new State('Timeout', 'a');
  take(attempts, document('PENDING'));
  assert.equal(attempts[0].state.name, 'Timeout', 'a stream that gave up stays so');
  take(attempts, document('SUCCESS', { receipt: 'X' }));
  assert.equal(attempts[0].state.name, 'Success');
  assert.equal(attempts.length, 1);
  const refused = [{ id: 'a', at: 1, state: new State('Error', 'a') }];
  take(refused, document('FAILED'));
  assert.equal(refused[0].state.name, 'Error');
  take(refused, document('SUCCESS'));
  assert.equal(refused[0].state.name, 'Success');
  assert.equal(stateOf(document('ELSE')).name, 'Pending');
});

test('what the server does not know was never sent, once no ask can be on its way', () => {
  const unknown = attempt(1000, 'Timeout'), refusal = (type) => ({ error: { type, message: '' } });
  assert.equal(neverSent(unknown, refusal('not_found'), 1000 + 180_001), true);
  assert.equal(neverSent(unknown, refusal('not_found'), 1000 + 180_000), false, 'it may be on its way');
  assert.equal(neverSent(attempt(1000, 'Timeout', document('TIMEOUT')), refusal('not_found'), 1e9), false, 'its document was there');
  for (const answer of [null, refusal('unavailable'), { status: 'PENDING' }]) assert.equal(neverSent(unknown, answer, 1e9), false);
});

test('a link has the bill, and no phone', () => {
  const bill = { code: newCode(), name: 'Chakula cha jioni 🍲', total: 100, members: [{ name: 'Wanjirũ', phone: '254712345678', share: 100 }], maker: 'user-1' };
  const hash = toHash(bill);
  assert.deepEqual(fromHash(hash), { ...bill, members: [{ name: 'Wanjirũ', share: 100 }] });
  assert.doesNotMatch(atob(hash.slice(1).replaceAll('-', '+').replaceAll('_', '/')), /712345678/);
  assert.match(reference(bill, 0), /^[0-9A-F]{8}-1$/);
  assert.ok(reference(bill, 98).length <= 12, 'M-Pesa takes no more');
  for (const broken of ['', '#', '#!', '#' + btoa('[]'),]) assert.equal(fromHash(broken), null, broken);
});

test('a link is believed only if a bill like that could have been made', () => {
  const link = (...parts) => '#' + btoa(JSON.stringify(parts));
  assert.equal(fromHash(link('0123ABCD', 'x', 2, [['a', 1], ['b', 1]], 'u')).total, 2);
  for (const [why, code, name, total, members, maker = 'u'] of [
    ['the code is short', '0123AB', 'x', 1, [['a', 1]]], ['the code is of other characters', '0123ABCX', 'x', 1, [['a', 1]]],
    ['no name', '0123ABCD', '', 1, [['a', 1]]], ['a name of spaces', '0123ABCD', ' ', 1, [['a', 1]]], ['no text for a name', '0123ABCD', 7, 1, [['a', 1]]],
    ['a member without a name', '0123ABCD', 'x', 1, [['', 1]]], ['a member named by spaces', '0123ABCD', 'x', 1, [[' ', 1]]], ['a number for a member', '0123ABCD', 'x', 1, [[7, 1]]],
    ['less than nothing', '0123ABCD', 'x', -1, [['a', -1]]], ['half a shilling', '0123ABCD', 'x', 1, [['a', 0.5], ['b', 0.5]]], ['a share of nothing', '0123ABCD', 'x', 1, [['a', 1], ['b', 0]]],
    ['the shares are less than the total', '0123ABCD', 'x', 3, [['a', 1], ['b', 1]]], ['the shares are more', '0123ABCD', 'x', 1, [['a', 1], ['b', 1]]],
    ['no maker', '0123ABCD', 'x', 1, [['a', 1]], ''], ['a number for the maker', '0123ABCD', 'x', 1, [['a', 1]], 7],
    ['nobody', '0123ABCD', 'x', 1, []], ['too many', '0123ABCD', 'x', 100, Array(100).fill(['a', 1])],
  ]) assert.equal(fromHash(link(code, name, total, members, maker)), null, why);
});

test('CSV', () => {
  assert.equal(csv([['name', 'paid'], ['Amina, "A"', 500], ['=1+1', -5]]), 'name,paid\r\n"Amina, ""A""",500\r\n\'=1+1,-5\r\n');
});

test('both languages have the same phrases, with the same values', () => {
  const values = (text) => (text.match(/\{\w+\}/g) ?? []).sort();
  assert.deepEqual(Object.keys(words.sw), Object.keys(words.en));
  for (const [key, text] of Object.entries(words.en)) assert.deepEqual(values(words.sw[key]), values(text), key);
});
