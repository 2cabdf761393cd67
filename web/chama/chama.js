// The page: it shows a bill, asks each member's phone for their share, and tells what
// became of it. What was paid is read from the documents alone.

import { Daraja, DarajaError, State, within } from '../daraja.js';
import { csv, decisive, fromHash, neverSent, paid, receipts, reference, take, toHash } from './bill.js';
import config from './config.js';
import { fill, onMade, reword } from './form.js';
import { $, kept, language, money, say, speak, translate, write } from './page.js';

/** How long a prompt may still be on the phone, in seconds. The function asks it for nothing else until then. */
const PROMPT = 90;
/** How long M-Pesa takes the same amount from one phone once only, in seconds. */
const REPEAT = 120;
/** How long Appwrite may take to say who is signed in, or to end a session, in seconds. */
const ACCOUNT_TAKES = 10;

/** Says everything in a language. */
function speakAll(chosen) {
  speak(chosen);
  reword();
  show();
}

for (const b of document.querySelectorAll('[data-language]')) b.addEventListener('click', () => speakAll(b.dataset.language));

/** Shows one of the page's parts. */
function turnTo(id) {
  for (const part of ['loading', 'sign-in', 'new-bill', 'not-yours', 'bill']) $(part).hidden = part !== id;
  $('net').hidden = id !== 'bill';
  $('sign-out').hidden = !signedIn;
}

/** Says why nothing else is shown yet. */
function wait(why) {
  $('loading').dataset.text = why;
  translate(document);
  turnTo('loading');
}

// Signing in

let account, daraja, signedIn = false;
/** The id of the user who has signed in. */
let user = '';

async function load({ src, integrity }) {
  const script = Object.assign(document.createElement('script'), { src, integrity, crossOrigin: 'anonymous' });
  await new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = reject;
    document.head.append(script);
  });
  return globalThis.Appwrite;
}

async function begin() {
  speakAll(language);
  try {
    const { Client, Account, Functions, Databases } = await load(config.sdk);
    const client = new Client().setEndpoint(config.endpoint).setProject(config.project);
    account = new Account(client);
    daraja = new Daraja({ client, functions: new Functions(client), databases: new Databases(client), ...config });
  } catch {
    wait('noSDK');
    return;
  }
  await enter();
}

/** The id of the user who is signed in now; an error with code 401 if nobody is. */
const whoIsIt = async () => (await within(ACCOUNT_TAKES, account.get())).$id;

/** Goes on with whoever is signed in. Only an answer that it is nobody leads to signing in. */
async function enter() {
  try {
    user = await whoIsIt();
  } catch (e) {
    if (e.code !== 401) {
      wait('unreachable');
      setTimeout(enter, 3000);
      return;
    }
    leave();
    bill = null;
    signedIn = false;
    $('anonymous').hidden = !config.anonymous;
    for (const [name, value] of Object.entries(config.signIn ?? {})) $('sign-in-form').elements[name].value = value;
    turnTo('sign-in');
    return;
  }
  signedIn = true;
  choose();
}

/** Shows the bill in the link, with its phones if it was made here, else the last one made here, else the form. */
function choose() {
  const linked = fromHash(location.hash);
  const chosen = linked ? (kept.get('bills') ?? {})[linked.code] ?? linked : kept.get('bill');
  if (chosen) open(chosen);
  else compose();
}

window.addEventListener('hashchange', () => {
  const linked = fromHash(location.hash);
  if (!signedIn) return;
  if (linked && linked.code !== bill?.code) choose();
  else if (location.hash === '' && bill) compose();
});

async function signIn(how) {
  $('sign-in-problem').textContent = '';
  try {
    await how();
  } catch (e) {
    $('sign-in-problem').textContent = say('signInFailed', { reason: e.message });
    return;
  }
  await enter();
}

$('sign-in-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const { email, password } = event.target.elements;
  signIn(() => account.createEmailPasswordSession(email.value, password.value));
});
$('anonymous').addEventListener('click', () => signIn(() => account.createAnonymousSession()));
$('sign-out').addEventListener('click', async () => {
  try {
    await within(ACCOUNT_TAKES, account.deleteSession('current'));
  } catch (e) {
    // Only an answer that there is no session is as good as one that it has ended.
    if (e.code !== 401) {
      trouble('notSignedOut');
      return;
    }
  }
  localStorage.removeItem('chama.bill');
  localStorage.removeItem('chama.bills');
  localStorage.removeItem('chama.asked');
  location.replace(location.pathname);
});

// A new bill

function compose() {
  leave();
  bill = null;
  fill(config.example ?? { name: '', total: '', members: [{}, {}, {}] });
  turnTo('new-bill');
}

onMade((made) => {
  const own = { ...made, maker: user };
  kept.set('bill', own);
  kept.set('bills', { ...kept.get('bills'), [own.code]: own });
  open(own);
  $('ask-all').focus();
});

// The bill

/** @type {?import('./bill.js').Bill} */
let bill = null;
let watch = null, documents = [], live = false;
/** What is stored was read at least once. Until then nothing is said of who has paid. */
let read = false;
/** Everybody is being asked: what is stored is read first. */
let askingAll = false;
/** Per member: the node, the attempts, whether a button of it is at work, and what was shown and said last. */
let lines = [];
/** The streams, by the ids of the payments that they tell of. */
let streams = new Map();

/** Leaves the bill that is shown. */
function leave() {
  watch?.close();
  watch = null;
  for (const s of streams.values()) s.close();
  streams = new Map();
  documents = [];
  lines = [];
  live = read = false;
  $('risk').close(); // a question about another bill
  trouble('');
}

/** Shows a bill, and goes on with what was asked for. Only its maker may read what was paid. */
function open(opened) {
  leave();
  bill = opened;
  history.replaceState(null, '', toHash(bill));
  if (bill.maker !== user) {
    $('not-yours-name').textContent = bill.name;
    turnTo('not-yours');
    return;
  }
  lines = bill.members.map((member, n) => {
    const node = $('member').content.firstElementChild.cloneNode(true);
    node.querySelector('.face').textContent = [...member.name][0].toUpperCase();
    node.querySelector('h3').textContent = member.name;
    node.querySelector('.phone').textContent = member.phone ? member.phone.replace(/^254(...)...(...)$/, '0$1 ••• $2') : '';
    node.querySelector('.share').textContent = money(member.share);
    const line = { member, node, attempts: [], busy: false, shown: '', said: '', reference: reference(bill, n) };
    node.querySelector('.ask').addEventListener('click', () => askAgain(line));
    node.querySelector('.check').addEventListener('click', () => check(line));
    return line;
  });
  $('members').replaceChildren(...lines.map((line) => line.node));
  $('bar').replaceChildren(...bill.members.map((m) => Object.assign(document.createElement('span'), { style: `flex: ${m.share}` })));
  lines.forEach(recall);
  watch = daraja.watch(lines.map((line) => line.reference), (seen) => {
    ({ documents, live } = seen);
    read ||= live;
    for (const d of documents) {
      const line = lines.find((l) => l.reference === d.reference);
      const attempt = take(line.attempts, d);
      if (attempt.state.name === 'Pending' && !streams.has(d.$id)) follow(line, daraja.resume(d.$id), attempt.at);
    }
    show();
  });
  turnTo('bill');
  show();
}

/** Has a stream tell how one attempt of a member stands. */
function follow(line, payment, at) {
  streams.set(payment.id, payment);
  let attempt = line.attempts.find((a) => a.id === payment.id);
  if (!attempt) line.attempts.push(attempt = { id: payment.id, at, state: payment.state });
  payment.onState((state) => {
    if (state.id !== attempt.id) {
      // The stream goes on with a payment that was open. Only one of this bill is shown.
      const { document } = state;
      if (document && document.reference !== line.reference) {
        attempt.state = new State('Error', attempt.id, { error: payment.busy });
        payment.close();
      } else if (document) {
        const unsent = attempt.id;
        line.attempts = line.attempts.filter((a) => a !== attempt && a.id !== state.id);
        line.attempts.push(attempt = { id: state.id, at: Date.parse(document.$createdAt), state });
        streams.set(state.id, payment);
        keep(line, unsent);
      }
    } else if (!(attempt.state.last && (state.name === 'Timeout' || !state.last))) {
      // What a document said before stands: the stream may know less.
      attempt.state = state;
      if (state.name === 'Error') keep(line);
      else if (state.name === 'Timeout' && !state.document) lookUp(line, attempt);
    }
    // The pot and the line learn of it together.
    if (state.document) watch?.see(state.document);
    show();
  });
}

/**
 * Notes which payments a member was asked for, before the first of it is sent. What
 * another tab has noted stays, and what is known not to have been sent goes.
 */
function keep(line, without = '') {
  const asked = kept.get('asked') ?? {};
  const ids = new Map([...(asked[line.reference] ?? []), ...line.attempts].map(({ id, at }) => [id, { id, at }]));
  ids.delete(without);
  for (const a of line.attempts) if (a.state.name === 'Error') ids.delete(a.id);
  asked[line.reference] = [...ids.values()];
  kept.set('asked', asked);
}

/** Goes on with what a member was asked for in another tab, or before a reload. */
function recall(line) {
  for (const { id, at } of (kept.get('asked') ?? {})[line.reference] ?? []) {
    if (!line.attempts.some((a) => a.id === id)) follow(line, daraja.resume(id), at);
  }
}

/**
 * Whether the page's user is still signed in: another tab may have signed out, or in as
 * somebody else. To them what is stored looks as if nobody had paid, without any error. The
 * page then goes on with whoever it is. If that cannot be learned, it says what this key
 * stands for.
 */
async function sameUser(otherwise) {
  const watched = watch;
  try {
    if (await whoIsIt() === user) return watched === watch;
  } catch (e) {
    if (e.code !== 401) {
      if (otherwise && watched === watch) trouble(otherwise);
      return false;
    }
  }
  if (watched === watch) await enter();
  return false;
}

/**
 * Reads what is stored, in this browser and on the server, just before somebody is asked:
 * neither M-Pesa nor the function refuses to take once more what was paid. False if it
 * cannot be read, if another user is signed in, or another bill is shown by then.
 */
async function upToDate() {
  const watched = watch;
  trouble('');
  const fresh = await watched.refresh();
  if (watched !== watch) return false;
  lines.forEach(recall);
  // Last, so that what was read is known to be this user's.
  if (!await sameUser('notRead')) return false;
  if (!fresh) trouble('notRead');
  return fresh;
}

function ask(line, again) {
  const { phone, share } = line.member;
  const payment = daraja.pay({ phone, amount: share, reference: line.reference, ...(again && { again }) });
  follow(line, payment, Date.now());
  keep(line);
}

const mayAsk = (line) => Boolean(line.member.phone);
const standing = (line) => decisive(line.attempts)?.state ?? new State('Idle', '');

/** Has a member's buttons rest while one of them is at work. */
async function busyWith(line, work) {
  if (line.busy) return;
  line.busy = true;
  show();
  try {
    await work();
  } finally {
    line.busy = false;
    show();
  }
}

/**
 * Asks a member, unless they stand otherwise than was shown. Where the earlier request may
 * still be charged, the person decides.
 */
async function askAgain(line) {
  if (line.node.querySelector('.ask').getAttribute('aria-disabled') === 'true') return;
  const state = standing(line);
  const stands = async () => {
    if (!await upToDate()) return false;
    const { id, name } = standing(line);
    return id === state.id && name === state.name;
  };
  await busyWith(line, async () => {
    if (!await stands()) return;
    const free = state.name === 'Idle' || state.askAgain;
    if (free || await sureOf(line) && await stands()) ask(line, state.name === 'Timeout');
  });
}

/** Asks everybody who was never asked. */
async function askAll() {
  if (!read || askingAll) return;
  askingAll = true;
  show();
  if (await upToDate()) for (const line of lines) if (mayAsk(line) && line.attempts.length === 0) ask(line, false);
  askingAll = false;
  show();
}

/** Asks the person. One question at a time: an answer is to that one alone. */
async function sureOf(line) {
  const dialog = $('risk');
  if (dialog.open) return false;
  $('risk-title').textContent = say('riskTitle', line.member);
  $('risk-text').textContent = say('riskText', line.member);
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'risk'), { once: true });
  });
}

/** Asks for the outcome that nobody knew, and says what came of it. */
async function check(line) {
  const watched = watch;
  trouble('');
  await busyWith(line, async () => {
    if (!await sameUser('notChecked')) return;
    const attempt = decisive(line.attempts), answer = await daraja.call('/stk/check', { id: attempt.id });
    const fresh = await watched.refresh();
    if (watched !== watch || await dropped(line, attempt, answer) || watched !== watch) return;
    if (!answer || answer.error || !fresh) trouble('notChecked');
    else if (standing(line).name === 'Timeout') line.said = null;
  });
}

/** Notes that an attempt was never sent, if the answer to its own user says so. */
async function dropped(line, attempt, answer) {
  if (answer?.error?.type !== 'not_found' || !await sameUser('') || !neverSent(attempt, answer, Date.now())) return false;
  attempt.state = new State('Error', attempt.id, { error: new DarajaError(answer.error) });
  keep(line);
  show();
  return true;
}

/** Asks what became of an attempt of which its stream has learned nothing at all. */
async function lookUp(line, attempt) {
  const watched = watch;
  if (!await sameUser('')) return;
  const answer = await daraja.call('/stk/check', { id: attempt.id });
  if (watched === watch) await dropped(line, attempt, answer);
}

// What is shown

/** How old an attempt is, in seconds. The server's clock may be ahead of this one. */
const ageOf = (attempt, now) => Math.max(0, (now - attempt.at) / 1000);

/** How long until a member may be asked again, in seconds. */
function countdown(line, attempt, now) {
  const age = ageOf(attempt, now), { name, askAgain, error } = attempt.state;
  if (name === 'Error') return (error.retryAfter || 0) - (now - attempt.endedAt) / 1000;
  if (name === 'Timeout') return PROMPT - age;
  return askAgain ? 0 : REPEAT - age;
}

const clockTime = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, '0')}`;

const LOOKS = { unknown: '', Idle: '', Initiating: 'going', Pending: 'going', Checking: 'going', Success: 'paid', Failed: 'not', Cancelled: 'not', Timeout: 'going', Error: 'not' };
const ICONS = {
  unknown: '', Idle: 'M8 8h.01', Initiating: 'M8 4v4l2.5 2M8 1.5a6.5 6.5 0 1 0 .01 0', Pending: 'M8 4v4l2.5 2M8 1.5a6.5 6.5 0 1 0 .01 0',
  Checking: 'M8 4v4l2.5 2M8 1.5a6.5 6.5 0 1 0 .01 0', Success: 'M3 8.5l3.5 3.5L13 5', Failed: 'M4 4l8 8M12 4l-8 8', Cancelled: 'M4 8h8',
  Timeout: 'M6 6a2 2 0 1 1 2.6 1.9c-.4.2-.6.5-.6 1V10M8 12.5h.01', Error: 'M4 4l8 8M12 4l-8 8',
};

/** Brings the page up to date. It changes only what differs, so that nothing flickers. */
function show() {
  if (!watch) return;
  const now = Date.now();
  showPot();
  for (const line of lines) showLine(line, now);
  $('watching').hidden = lines.some(mayAsk);
  $('ask-all').hidden = !lines.some(mayAsk);
  $('ask-all').disabled = read && !lines.some((line) => mayAsk(line) && line.attempts.length === 0);
  $('ask-all').setAttribute('aria-disabled', String(!read || askingAll));
  $('csv').disabled = !read;
  write($('net-word'), say(live && navigator.onLine ? 'live' : 'offline'));
  $('net').classList.toggle('off', !(live && navigator.onLine));
}

/** Says what went wrong with what a button was to do; '' if nothing. */
function trouble(key) {
  if (key) $('trouble').dataset.text = key;
  else delete $('trouble').dataset.text;
  write($('trouble'), key && say(key));
}

function showPot() {
  const sum = paid(documents), { total } = bill;
  write($('bill-name'), bill.name);
  write($('collected'), read ? money(sum) : say('unknown'));
  write($('of-total'), say('ofTotal', { total: money(total) }));
  write($('rest'), !read ? say('unknown') : sum > total ? say('tooMuch', { amount: money(sum - total) }) : sum === total ? say('full') : say('toGo', { amount: money(total - sum) }));
  $('pot').classList.toggle('full', sum >= total);
  $('liquid').style.transform = `translateY(${Math.round(186 - 134 * Math.min(1, sum / total))}px)`;
  const bar = $('bar');
  bar.setAttribute('aria-valuemax', total);
  if (read) bar.setAttribute('aria-valuenow', Math.min(sum, total));
  else bar.removeAttribute('aria-valuenow');
  bar.setAttribute('aria-valuetext', read ? potWords() : say('unknown'));
  lines.forEach((line, n) => bar.children[n].classList.toggle('paid', paidBy(line) > 0));
}

const potWords = () => say('potLabel', { collected: money(paid(documents)), total: money(bill.total) });
const documentsOf = (line) => documents.filter((d) => d.reference === line.reference);
const paidBy = (line) => paid(documentsOf(line));

function showLine(line, now) {
  const attempt = decisive(line.attempts), state = standing(line), part = (name) => line.node.querySelector(name);
  const age = attempt ? ageOf(attempt, now) : 0;
  if (attempt && state.last) attempt.endedAt ??= now;
  const look = !read ? 'unknown' : state.name === 'Pending' && age > PROMPT ? 'Checking' : state.name;
  if (line.shown !== look) {
    line.shown = look;
    line.node.className = 'member ' + LOOKS[look];
    part('.chip path').setAttribute('d', ICONS[look]);
  }
  write(part('.word'), say(look));
  const open = look === 'Initiating' || look === 'Pending';
  write(part('.time'), open ? clockTime(age) : '');
  write(part('.detail'), read ? detail(line, state, look) : '');

  const askButton = part('.ask'), checkButton = part('.check');
  const settled = state.last && state.name !== 'Success';
  askButton.hidden = !read || !mayAsk(line) || !(state.name === 'Idle' || settled);
  checkButton.hidden = !read || state.name !== 'Timeout';
  const left = settled ? Math.ceil(countdown(line, attempt, now)) : 0;
  askButton.setAttribute('aria-disabled', String(left > 0 || line.busy));
  checkButton.setAttribute('aria-disabled', String(line.busy));
  write(askButton, left > 0 ? say('againIn', { time: clockTime(left) }) : state.name === 'Idle' ? say('ask') : say('again'));
  // The name comes last, so that it can be called up by what is seen.
  askButton.setAttribute('aria-label', `${askButton.textContent}: ${line.member.name}`);
  write(checkButton, say(line.busy ? 'checking' : 'check'));
  checkButton.setAttribute('aria-label', `${checkButton.textContent}: ${line.member.name}`);

  if (read) announce(line, state, look);
}

/** The sentence below a member's state. */
function detail(line, state, look) {
  if (state.name === 'Success') {
    const sum = paidBy(line), more = sum - line.member.share;
    const receipt = state.document?.receipt ? say('receipt', { receipt: state.document.receipt }) : say('receiptFollows');
    const open = line.attempts.some((a) => !a.state.last);
    const further = [more > 0 && say('paidTwice', { amount: money(sum), more: money(more) }), open && say('furtherOpen')].filter(Boolean).join(' ');
    return further ? `${receipt}. ${further}` : receipt;
  }
  if (state.name === 'Error') {
    const key = state.error.type, { message } = state.error;
    if (['busy', 'invalid_argument', 'unauthenticated', 'forbidden', 'credentials', 'not_configured'].includes(key)) {
      return say(key, { message: Object.values(state.error.fields).join(', ') || message });
    }
  }
  // The prompt has gone from the phone: nobody is to look for it.
  return look === 'Checking' ? new State('Timeout', state.id).text(language) : state.text(language);
}

/** What is still to be told to those who hear the page. */
const news = [];

/** Tells those who hear the page what has changed, once, and all that changes at once. */
function announce(line, state, look) {
  if (line.said === look) return;
  const first = line.said === '';
  line.said = look;
  if (first || look === 'Initiating') return;
  const words = look === 'Success' ? say('saidPaid', { name: line.member.name, pot: potWords() }) : `${line.member.name}: ${say(look)}. ${detail(line, state, look)}`;
  if (news.push(words) === 1) setTimeout(() => { $('said').textContent = news.splice(0).join(' '); });
}

// Times run, and so do countdowns.
setInterval(show, 1000);
window.addEventListener('online', show);
window.addEventListener('offline', show);

$('ask-all').addEventListener('click', askAll);
for (const b of document.querySelectorAll('.new')) {
  b.addEventListener('click', () => {
    // Somebody else's bill, in a link, leaves the one that this browser keeps alone.
    if (kept.get('bill')?.code === bill.code) localStorage.removeItem('chama.bill');
    history.pushState(null, '', location.pathname); // Back leads to the bill that is left
    compose();
    $('bill-form').elements.name.focus();
  });
}
$('copy').addEventListener('click', async () => {
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    // Only https pages and those of this machine have a clipboard, if the browser lets them.
    prompt(say('copyByHand'), location.href);
    return;
  }
  write($('copy'), say('copied'));
  setTimeout(() => write($('copy'), say('copyLink')), 2000);
});
$('csv').addEventListener('click', () => {
  const head = ['csvName', 'csvShare', 'csvState', 'csvAmount', 'csvReceipt', 'csvTime'].map((key) => say(key));
  const rows = lines.map((line) => {
    const { name, document: d } = standing(line);
    return [line.member.name, line.member.share, say(name), paidBy(line), receipts(documentsOf(line)).join(' '), d?.mpesaTimestamp ?? ''];
  });
  const file = new Blob(['\uFEFF' + csv([head, ...rows])], { type: 'text/csv;charset=utf-8' });
  const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(file), download: `${bill.name.replace(/[^\p{L}\p{N} -]/gu, '') || bill.code}.csv` });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
});

begin();
