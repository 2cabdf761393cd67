// The form for a new bill.

import { MOST, PEOPLE, newCode, phoneNumber, split } from './bill.js';
import { $, money, say, translate } from './page.js';

/** Fills the form with what it begins with. */
export function fill({ name, total, members }) {
  const form = $('bill-form').elements;
  forget();
  form.name.value = name;
  form.total.value = total;
  $('people').replaceChildren();
  for (const m of members) addPerson(m);
  showSplit();
}

/** Says anew what has values in its words. */
export function reword() {
  number();
  showSplit();
  for (const [place, words] of problems) place.textContent = words();
}

function addPerson({ name = '', phone = '' } = {}) {
  const person = $('person').content.firstElementChild.cloneNode(true);
  person.querySelector('[name=member]').value = name;
  person.querySelector('[name=phone]').value = phone;
  person.querySelector('.remove').addEventListener('click', () => {
    person.remove();
    number();
    showSplit();
    $('add').focus();
  });
  person.addEventListener('input', number);
  $('people').append(person);
  translate(person);
  number();
  return person;
}

/** Gives each row its number and its remove button a name, for those who hear the page. */
function number() {
  const people = [...$('people').children];
  people.forEach((person, i) => {
    const name = person.querySelector('[name=member]').value || say('memberOf', { n: i + 1 });
    person.setAttribute('aria-label', say('memberOf', { n: i + 1 }));
    person.querySelector('.remove').setAttribute('aria-label', say('remove', { name }));
    person.querySelector('.remove').disabled = people.length < 2;
  });
  $('add').disabled = people.length >= PEOPLE;
  $('add').textContent = people.length < PEOPLE ? say('add') : say('addNone', { n: PEOPLE });
}

const wholeShillings = (text) => (/^\d{1,9}$/.test(text.replace(/[\s,]/g, '')) ? Number(text.replace(/[\s,]/g, '')) : 0);

function showSplit() {
  const people = $('people').children.length, total = wholeShillings($('bill-form').elements.total.value);
  if (people === 0 || total < people) {
    $('split').textContent = say('shareNone');
    return;
  }
  const shares = split(total, people), most = money(shares[0]), least = money(shares[people - 1]);
  $('split').textContent = say(most === least ? 'shareEach' : 'shareUneven', { n: people, amount: most, most, least });
}

$('bill-form').addEventListener('input', showSplit);
$('add').addEventListener('click', () => {
  addPerson().querySelector('input').focus();
  showSplit();
});

/** What is wrong, by the places below the fields where it is said: its words in the language of the moment. */
const problems = new Map();

/** Forgets what was wrong. */
function forget() {
  for (const place of problems.keys()) place.textContent = '';
  for (const input of $('bill-form').querySelectorAll('[aria-invalid]')) {
    input.removeAttribute('aria-invalid');
    input.removeAttribute('aria-describedby');
  }
  problems.clear();
}

let places = 0;

/** Says below a field what is wrong with it, if anything is. The first one gets the focus. */
function complain(input, place, key, values) {
  if (!key) return true;
  place.id ||= `problem-${++places}`;
  input.setAttribute('aria-invalid', 'true');
  if (problems.has(place)) return false; // the field before has its say first
  input.setAttribute('aria-describedby', place.id);
  if (problems.size === 0) input.focus();
  problems.set(place, () => say(key, values));
  place.textContent = say(key, values);
  return false;
}

let handOver = () => {};

/** Has each bill that is made handed over; who made it is still to be added. */
export function onMade(callback) { handOver = callback; }

$('bill-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const form = event.target.elements, people = [...$('people').children];
  forget();
  document.activeElement.blur(); // so that a field which is wrong again is read out again
  const name = form.name.value.trim(), total = wholeShillings(form.total.value);
  let sound = complain(form.name, $('problem-name'), name ? '' : 'badName');
  const high = total > MOST * people.length;
  sound &= complain(form.total, $('problem-total'), total < people.length ? 'badTotal' : high ? 'badTotalHigh' : '', { amount: money(MOST) });
  const shares = split(total, people.length), phones = new Set();
  const members = people.map((person, i) => {
    const field = person.querySelector('[name=member]'), tel = person.querySelector('[name=phone]'), place = person.querySelector('.problem');
    const phone = phoneNumber(tel.value);
    sound &= complain(field, place, field.value.trim() ? '' : 'badMember');
    sound &= complain(tel, place, !phone ? 'badPhone' : phones.has(phone) ? 'samePhone' : '');
    phones.add(phone);
    return { name: field.value.trim(), phone, share: shares[i] };
  });
  if (!sound || members.length > PEOPLE) return;
  handOver({ code: newCode(), name, total, members });
});
