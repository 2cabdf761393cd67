// What people do with the page, in a real browser. Each scenario has a machine of its own,
// with fakes, phones and a ledger; scripts/local starts them and judges the pot.
//
//   node scenarios.mjs list              prints their names
//   node scenarios.mjs play FOLDER       reads {"NAME": {"page": URL}, …}, plays those,
//                                        prints a line of JSON for each, and leaves
//                                        screenshots in the folder

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const installed = (path) => fileURLToPath(new URL('../node_modules/' + path, import.meta.url));
const axe = readFileSync(installed('axe-core/axe.min.js'), 'utf8');
const [, , command, folder] = process.argv;

const FRIENDS = ['Amina', 'Juma', 'Wanjiru'], PHONES = ['254712345678', '254722000111', '254110987654'];

/** Watches, before any of the page's own code, what it shows: the pot, who has paid, and what jumps. */
function observe() {
  const painted = (f) => requestAnimationFrame(() => { const { port1, port2 } = new MessageChannel(); port1.onmessage = f; port2.postMessage(0); });
  const paid = new Set();
  let last = null;
  new MutationObserver(() => {
    const pot = document.getElementById('collected')?.textContent;
    if (/\d/.test(pot) && pot !== last) { last = pot; window.seen('pot', Number(pot.replace(/\D/g, '')), Date.now()); }
    document.querySelectorAll('.member').forEach((line, n) => {
      const key = document.getElementById('bill-name').textContent + ' ' + n;
      if (!line.classList.contains('paid') || paid.has(key)) return;
      paid.add(key);
      const reference = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(location.hash.slice(1).replaceAll('-', '+').replaceAll('_', '/')), (c) => c.charCodeAt(0))))[0] + '-' + (n + 1);
      painted(() => window.seen('paid', reference, performance.timeOrigin + performance.now()));
    });
  }).observe(document, { subtree: true, childList: true, characterData: true, attributes: true });
  new PerformanceObserver((list) => {
    for (const e of list.getEntries()) if (!e.hadRecentInput) window.seen('shift', e.value, e.sources.map((s) => s.node?.className || s.node?.nodeName).join(', '));
  }).observe({ type: 'layout-shift', buffered: true });
}

/** One scenario: a machine, and the browsers of those who take part. */
class Scene {
  pot = []; paid = []; shift = []; errors = []; contexts = [];

  constructor(browser, name, machine) { Object.assign(this, { browser, name, machine }); }

  /** A browser of its own, with an empty store. */
  async visitor(options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1120, height: 800 }, reducedMotion: 'reduce', ...options });
    this.contexts.push(context);
    context.setDefaultTimeout(45_000);
    await context.exposeBinding('seen', (_, kind, value, at) => this[kind].push([at, value]));
    await context.addInitScript(observe);
    const page = await context.newPage();
    page.on('pageerror', (e) => this.errors.push(e.message));
    return page;
  }

  /** The page of somebody who has signed in and made the bill that the form begins with. */
  async bill(options = {}) {
    const page = await this.visitor(options);
    await this.prepare?.(page);
    await page.goto(this.machine.page + '/chama/');
    await page.locator('#sign-in').getByRole('button').first().click();
    await page.locator('#bill-form button[type=submit]').click();
    await page.locator('#ask-all').waitFor();
    return page;
  }

  async press(phone, key, pin = '1234') {
    for (let tries = 0; tries < 300; tries++) {
      const open = (await this.phone(phone)).prompts.find((p) => p.open);
      if (open) return this.post('/machine/answer', { id: open.id, key, pin });
      await sleep(100);
    }
    return assert.fail(`${phone} was not asked`);
  }

  async phone(number) {
    const gone = new AbortController();
    const { body } = await fetch(this.machine.page + '/machine', { signal: gone.signal });
    let text = '';
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      if (text.includes('\n\n')) break;
    }
    gone.abort();
    return JSON.parse(text.slice(5).split('\n\n', 1)[0]).phones.find((p) => p.number === number) ?? { prompts: [] };
  }

  spoil(what) { return this.post('/machine/spoil', { what }); }

  async post(path, body) {
    const { status } = await fetch(this.machine.page + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
    assert.equal(status, 204, path);
  }

  /** No rule of accessibility is broken by what the page shows now. */
  async accessible(page) {
    await page.evaluate(axe + ';0');
    const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.target).join(' ')} ${v.nodes[0].failureSummary}`), []);
  }

  shot(page, name) { return page.screenshot({ path: `${folder}/${name}.png` }); }
}

const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });
const line = (page, n) => page.locator('.member').nth(n);
const word = (page, n, text) => line(page, n).locator('.word', { hasText: text }).waitFor();
const pot = (page, text) => page.locator('#collected', { hasText: new RegExp(`^KES ${text}$`) }).waitFor({ timeout: 150_000 });
const payAll = async (scene) => { for (const p of PHONES) await scene.press(p, 'pay'); };
const full = (page) => page.locator('#rest', { hasText: 'Done. The pot is full.' }).waitFor({ timeout: 150_000 });

/** Asks everybody and has everybody pay. */
async function fill(scene, options) {
  const page = await scene.bill(options);
  await page.locator('#ask-all').click();
  await payAll(scene);
  await full(page);
  return page;
}

/** The page with another version of the SDK than its own. */
const withSDK = (version) => async (scene) => {
  scene.prepare = async (page) => {
    await page.route('**/appwrite.js', (route) => route.fulfill({ path: installed(`appwrite-${version}/dist/iife/sdk.js`) }));
    await page.route('**/chama/config.js', async (route) => {
      const body = await (await route.fetch()).text();
      await route.fulfill({ contentType: 'text/javascript', body: body.replace(/integrity: '[^']*'/, "integrity: ''") });
    });
  };
  await fill(scene);
};

const scenarios = {
  // On the stage, with the phones beside the page, by what can be seen.
  async 'happy path'(scene) {
    const stage = await scene.visitor({ viewport: { width: 1360, height: 860 } });
    await stage.goto(scene.machine.page + '/');
    const page = stage.frameLocator('iframe'), phone = (owner) => stage.getByRole('region', { name: `Phone ${owner}` });
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('3 people pay KES 500 each').waitFor();
    await page.getByRole('button', { name: 'Make the bill' }).click();
    await page.getByRole('button', { name: 'Ask everybody' }).click();
    await phone('Amina').getByText('Do you want to pay KES 500 to Duka la Amina').waitFor();
    await phone('Amina').getByRole('button', { name: 'Send' }).click();
    await page.locator('#collected', { hasText: 'KES 500' }).waitFor();
    await phone('Juma').getByRole('button', { name: 'Send' }).click();
    await page.locator('#collected', { hasText: 'KES 1,000' }).waitFor();
    await scene.accessible(stage);
    await stage.frames()[1].evaluate(() => window.scrollTo(0, 0));
    await scene.shot(stage, 'stage');
    await phone('Wanjiru').getByRole('button', { name: 'Send' }).click();
    await page.getByText('Done. The pot is full.').waitFor();
    await phone('Wanjiru').getByText('Confirmed. KES 500 sent').waitFor();
    const receipt = (await scene.phone(PHONES[2])).prompts[0].receipt;
    await page.getByText(`Receipt ${receipt}`).waitFor();
    await scene.shot(stage, 'stage-full');
    const [download] = await Promise.all([stage.waitForEvent('download'), page.getByRole('button', { name: 'CSV of who paid' }).click()]);
    const rows = readFileSync(await download.path(), 'utf8').split('\r\n');
    assert.equal(rows[0], '\uFEFFname,share,state,paid,receipt,time');
    assert.match(rows[3], new RegExp(`^Wanjiru,500,Paid,500,${receipt},\\d{4}-\\d\\d-\\d\\dT`));
    assert.equal(rows.length, 5);
  },

  async 'each part is accessible'(scene) {
    for (const colorScheme of ['light', 'dark']) {
      const page = await scene.visitor({ colorScheme });
      await page.goto(scene.machine.page + '/chama/');
      await page.getByRole('button', { name: 'Sign in' }).waitFor();
      await scene.accessible(page);
      await page.getByLabel('Password').fill('wrong');
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('Signing in did not work').waitFor();
      await scene.accessible(page);
      await scene.shot(page, `sign-in-${colorScheme}`);
      await page.getByRole('button', { name: 'Go on without an account' }).click();
      await page.getByLabel('M-Pesa phone').nth(1).fill('12');
      await page.getByLabel('Total, in shillings').fill('2');
      await page.getByRole('button', { name: 'Make the bill' }).click();
      await page.getByText('Please give a Kenyan mobile number').waitFor();
      await page.getByText('Please give whole shillings').waitFor();
      assert.equal(await page.evaluate(() => document.activeElement.name), 'total');
      await scene.accessible(page);
      await scene.shot(page, `new-bill-${colorScheme}`);
    }
  },

  // In Swahili, in the dark, on the narrowest phone.
  async 'Swahili, narrow, dark'(scene) {
    const page = await scene.bill({ viewport: { width: 320, height: 640 }, colorScheme: 'dark', locale: 'sw-KE', isMobile: true, hasTouch: true });
    await page.getByRole('button', { name: 'Omba wote' }).tap();
    await word(page, 0, 'Inasubiri PIN');
    await scene.press(PHONES[0], 'pay');
    await scene.press(PHONES[1], 'cancel');
    await scene.press(PHONES[2], 'pay', '0000');
    await word(page, 0, 'Amelipa');
    await word(page, 1, 'Imeghairiwa');
    await word(page, 2, 'Hajalipa');
    await line(page, 2).getByText('PIN si sahihi').waitFor();
    assert.equal(await page.evaluate(() => document.documentElement.lang), 'sw');
    const [wide, inner] = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(wide <= 320 && inner <= 320, `it is ${wide} wide, on a screen of ${inner}`);
    for (const b of await page.getByRole('button').all()) {
      const box = await b.boundingBox();
      assert.ok(!box || box.height >= 44, `a button is ${box?.height} high`);
    }
    await scene.accessible(page);
    await page.screenshot({ path: `${folder}/narrow-dark-sw.png`, fullPage: true });
    await page.getByRole('button', { name: 'English' }).tap();
    await word(page, 1, 'Cancelled');
    await page.getByText('KES 1,000 to go').waitFor();
  },

  async 'keyboard alone'(scene) {
    const page = await scene.visitor();
    await page.goto(scene.machine.page + '/chama/');
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    const to = async (label) => {
      for (let i = 0; i < 40; i++) {
        await page.keyboard.press('Tab');
        const name = await page.evaluate(() => document.activeElement.getAttribute('aria-label') || document.activeElement.textContent);
        if (name === label) return;
      }
      assert.fail(`${label} cannot be reached with Tab`);
    };
    await to('Sign in');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Make the bill' }).waitFor();
    await to('Make the bill');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Ask everybody' }).waitFor();
    await to('Ask: Juma');
    await page.keyboard.press('Space');
    await scene.press(PHONES[1], 'cancel');
    await page.getByRole('status').getByText('Juma: Cancelled.').waitFor({ state: 'attached' });
    await to('Ask again: Juma');
    await page.keyboard.press('Enter');
    await scene.press(PHONES[1], 'pay');
    await page.getByRole('status').getByText('Juma has paid. KES 500 of KES 1,500 collected').waitFor({ state: 'attached' });
  },

  async 'cancelled, and asked again'(scene) {
    const page = await scene.bill();
    await line(page, 0).getByRole('button', { name: 'Ask' }).click();
    await scene.press(PHONES[0], 'cancel');
    await word(page, 0, 'Cancelled');
    await pot(page, '0');
    await line(page, 0).getByRole('button', { name: 'Ask again' }).click();
    await scene.press(PHONES[0], 'pay');
    await pot(page, '500');
  },

  async 'wrong PIN, and asked again'(scene) {
    const page = await scene.bill();
    await line(page, 1).getByRole('button', { name: 'Ask' }).click();
    await scene.press(PHONES[1], 'pay', '9999');
    await word(page, 1, 'Not paid');
    await line(page, 1).getByText('the PIN was wrong').waitFor();
    await line(page, 1).getByRole('button', { name: 'Ask again' }).click();
    await scene.press(PHONES[1], 'pay');
    await pot(page, '500');
  },

  // Nobody knows whether a prompt that was ignored will still be paid: only a person may
  // have it asked again, and only when the prompt has gone.
  async 'silence'(scene) {
    const page = await scene.bill();
    await line(page, 0).getByRole('button', { name: 'Ask' }).click();
    await scene.press(PHONES[0], 'ignore');
    await line(page, 0).locator('.word', { hasText: 'Not known yet' }).waitFor({ timeout: 90_000 });
    assert.doesNotMatch(await line(page, 0).textContent(), /fail|not completed|not paid/i);
    const checked = line(page, 0).getByRole('button', { name: 'Check now: Amina' });
    await page.evaluate(() => { document.getElementById('said').textContent = ''; });
    await checked.click();
    await page.getByRole('status').getByText('Amina: Not known yet.').waitFor({ state: 'attached' });
    await page.route('**/executions', async (route) => { await sleep(500); await route.abort(); });
    await checked.click();
    await line(page, 0).getByRole('button', { name: 'Checking…: Amina', disabled: true }).waitFor();
    await page.getByRole('alert').getByText('It could not be checked just now').waitFor();
    await page.unroute('**/executions');
    const again = line(page, 0).getByRole('button', { name: 'Ask again' });
    assert.match(await again.textContent(), /^Ask again in 0:\d\d$/);
    assert.equal(await again.getAttribute('aria-disabled'), 'true');
    await again.click({ force: true });
    assert.equal(await page.getByRole('dialog').count(), 0);
    await scene.accessible(page);
    await line(page, 0).locator('.ask', { hasText: /^Ask again$/ }).waitFor();
    await again.click();
    await page.getByRole('dialog').getByText('may still be charged').waitFor();
    await scene.accessible(page);
    await scene.shot(page, 'ask-again');
    await page.getByRole('button', { name: 'Wait' }).click();
    assert.equal((await scene.phone(PHONES[0])).prompts.length, 1);
    await again.click();
    await page.getByRole('button', { name: 'Ask again anyway' }).click();
    await scene.press(PHONES[0], 'pay');
    await pot(page, '500');
  },

  async 'callback lost'(scene) {
    const page = await scene.bill();
    await scene.spoil('lost');
    await line(page, 2).getByRole('button', { name: 'Ask' }).click();
    await scene.press(PHONES[2], 'pay');
    await pot(page, '500');
    await word(page, 2, 'Paid');
    await line(page, 2).getByText('Receipt to follow').waitFor();
  },

  async 'callback twice'(scene) {
    await scene.spoil('twice');
    const page = await fill(scene);
    await sleep(2000);
    await pot(page, '1,500');
  },

  async 'callback late'(scene) {
    await scene.spoil('late');
    await fill(scene);
  },

  async 'acknowledgement lost'(scene) {
    await scene.spoil('unack');
    await fill(scene);
  },

  async 'Realtime down'(scene) {
    await scene.spoil('realtime');
    const page = await scene.bill();
    await page.locator('#ask-all').click();
    await scene.press(PHONES[0], 'pay');
    await pot(page, '500');
    await scene.spoil('realtime');
    await scene.press(PHONES[1], 'pay');
    await scene.press(PHONES[2], 'pay');
    await full(page);
  },

  // The function gives up on the callback after 25 s. Safaricom is asked later.
  async 'database down'(scene) {
    const page = await scene.bill();
    await page.locator('#ask-all').click();
    await scene.press(PHONES[1], 'pay');
    await pot(page, '500');
    await scene.spoil('database');
    await scene.press(PHONES[0], 'pay');
    await page.getByText('Offline').waitFor();
    await pot(page, '500');
    await sleep(30_000);
    await scene.spoil('database');
    await scene.press(PHONES[2], 'pay');
    await full(page);
    await page.getByText('Live', { exact: true }).waitFor();
  },

  async 'the server is down at first'(scene) {
    const page = await scene.visitor();
    await page.route('**/v1/account', (route) => route.abort());
    await page.goto(scene.machine.page + '/chama/');
    await page.getByText('The server cannot be reached').waitFor();
    await scene.accessible(page);
    await page.unroute('**/v1/account');
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
  },

  async 'reloaded in the middle'(scene) {
    const page = await scene.bill();
    await page.locator('#ask-all').click();
    await scene.press(PHONES[0], 'pay');
    await pot(page, '500');
    await page.reload();
    await pot(page, '500');
    await word(page, 0, 'Paid');
    await word(page, 1, 'Waiting for PIN');
    await line(page, 1).getByText('0722 ••• 111').waitFor();
    await scene.press(PHONES[1], 'pay');
    await scene.press(PHONES[2], 'cancel');
    await pot(page, '1,000');
    await word(page, 2, 'Cancelled');
    await page.reload();
    await pot(page, '1,000');
    await word(page, 2, 'Cancelled');
    await line(page, 2).getByRole('button', { name: 'Ask again' }).click();
    await scene.press(PHONES[2], 'pay');
    await full(page);
  },

  // Whether the first ask has arrived nobody knows: the page does not offer another one.
  async 'reloaded before any answer'(scene) {
    const page = await scene.bill();
    await page.route('**/executions', () => {}); // and nothing comes back
    await line(page, 0).getByRole('button', { name: 'Ask' }).click();
    await word(page, 0, 'Asking');
    await page.reload();
    await word(page, 0, 'Waiting for PIN');
    assert.equal(await line(page, 0).getByRole('button').count(), 0);
    assert.equal(await line(page, 1).getByRole('button').count(), 1);
  },

  // Of what was refused before anything was stored, a reload knows that nothing was sent.
  async 'refused, and reloaded'(scene) {
    const page = await scene.bill();
    const error = { type: 'unavailable', message: 'M-Pesa cannot be reached', claimed: false };
    await page.route('**/executions', (route) => route.fulfill({
      status: 201, json: { responseStatusCode: 503, responseBody: JSON.stringify({ error }) },
      headers: { 'Access-Control-Allow-Origin': new URL(page.url()).origin, 'Access-Control-Allow-Credentials': 'true' },
    }));
    await line(page, 0).getByRole('button', { name: 'Ask' }).click();
    await word(page, 0, 'Not sent');
    await page.unroute('**/executions');
    await page.reload();
    await word(page, 0, 'Not asked yet');
    await page.locator('#ask-all').click();
    await payAll(scene);
    await full(page);
  },

  async 'offline and back'(scene) {
    const page = await scene.bill();
    await page.locator('#ask-all').click();
    await word(page, 2, 'Waiting for PIN');
    await scene.press(PHONES[0], 'pay');
    await pot(page, '500');
    await page.context().setOffline(true);
    await page.getByText('Offline').waitFor();
    await scene.accessible(page);
    await scene.shot(page, 'offline');
    await scene.press(PHONES[1], 'pay');
    await scene.press(PHONES[2], 'pay');
    await sleep(4000);
    await pot(page, '500');
    await page.evaluate(() => {
      window.spoken = '';
      const said = document.getElementById('said');
      new MutationObserver(() => { window.spoken += said.textContent; }).observe(said, { childList: true, characterData: true, subtree: true });
    });
    await page.context().setOffline(false);
    await full(page);
    await page.waitForFunction(() => /Juma has paid/.test(window.spoken) && /Wanjiru has paid/.test(window.spoken));
  },

  async 'two browsers'(scene) {
    const page = await scene.bill(), other = await scene.visitor({ colorScheme: 'dark' });
    await other.goto(page.url());
    await other.getByRole('button', { name: 'Sign in' }).click();
    await other.getByText('You are watching').waitFor();
    assert.doesNotMatch(decodeURIComponent(page.url()) + atob(page.url().split('#')[1].replaceAll('-', '+').replaceAll('_', '/')), /7[12]2\d{6}|110987654/);
    assert.equal(await other.getByRole('button', { name: /^Ask/ }).count(), 0);
    await page.locator('#ask-all').click();
    await other.locator('.word', { hasText: 'Waiting for PIN' }).nth(2).waitFor();
    await scene.press(PHONES[0], 'pay');
    await pot(other, '500');
    await pot(page, '500');
    await scene.shot(other, 'watching-dark');
    await scene.press(PHONES[1], 'pay');
    await scene.press(PHONES[2], 'pay');
    await Promise.all([full(page), full(other)]);
  },

  // Nothing is said of the pot before it was read, and nobody can be asked.
  async 'the list comes late'(scene) {
    const page = await fill(scene);
    let go;
    const held = new Promise((resolve) => { go = resolve; });
    await page.route('**/documents?**', async (route) => { await held; await route.continue(); });
    await page.reload();
    await page.locator('#collected', { hasText: /^…$/ }).waitFor();
    await word(page, 0, '…');
    await sleep(1500); // its streams have read each document by then
    assert.deepEqual(await page.locator('.word').allTextContents(), ['…', '…', '…']);
    assert.equal(await page.getByRole('button', { name: /^Ask/, disabled: false }).count(), 0);
    assert.equal(await page.getByText('Live', { exact: true }).count(), 0);
    await scene.accessible(page);
    go();
    await full(page);
    await page.getByText('Live', { exact: true }).waitFor();
  },

  // Two tabs of one browser. One hears nothing of what the other does.
  async 'a second tab that is deaf'(scene) {
    const page = await scene.bill(), other = await page.context().newPage();
    let deaf = false;
    await other.routeWebSocket(/realtime/, (ws) => {
      const server = ws.connectToServer();
      ws.onMessage((m) => server.send(m));
      server.onMessage((m) => { if (!deaf) ws.send(m); });
    });
    await other.goto(page.url());
    await other.getByText('Live', { exact: true }).waitFor();
    await line(page, 2).getByRole('button', { name: 'Ask' }).click();
    await scene.press(PHONES[2], 'cancel');
    await word(other, 2, 'Cancelled');
    deaf = true;
    await other.route('**/v1/**', (route) => route.abort());
    await page.locator('#ask-all').click();
    await line(page, 2).getByRole('button', { name: 'Ask again' }).click();
    await payAll(scene);
    await full(page);
    // What is kept in the browser tells of one member, and only the server of the others.
    const reference = JSON.parse(await page.evaluate(() => localStorage.getItem('chama.bill'))).code + '-3';
    await page.evaluate((reference) => {
      const asked = JSON.parse(localStorage.getItem('chama.asked'));
      localStorage.setItem('chama.asked', JSON.stringify({ [reference]: asked[reference] }));
    }, reference);
    await other.locator('#ask-all').click();
    await other.getByRole('alert').getByText('so nobody was asked').waitFor();
    await word(other, 2, 'Waiting for PIN');
    await word(other, 0, 'Not asked yet');
    await scene.accessible(other);
    await other.unroute('**/v1/**');
    // At once, since the page reads again by itself within seconds and then has nobody to ask.
    await other.locator('#ask-all').dispatchEvent('click');
    await full(other);
    for (const [n, phone] of PHONES.entries()) assert.equal((await scene.phone(phone)).prompts.length, n === 2 ? 2 : 1, phone);
    assert.equal(await other.getByRole('alert').filter({ visible: true }).count(), 0);
  },

  // Nobody else may read what was paid, and nothing is said of it.
  async "somebody else's link"(scene) {
    const other = await scene.visitor();
    await other.goto(scene.machine.page + '/chama/');
    await other.getByRole('button', { name: 'Go on without an account' }).click();
    await other.getByRole('button', { name: 'Make the bill' }).click();
    await other.locator('#ask-all').waitFor();
    const own = await other.evaluate(() => localStorage.getItem('chama.bill'));
    const page = await fill(scene);
    await other.evaluate((hash) => { location.hash = hash; }, new URL(page.url()).hash);
    await other.getByText('Only the account that made this bill can see who paid.').waitFor();
    assert.equal(await other.getByText(/KES|Not asked/).filter({ visible: true }).count(), 0);
    await scene.accessible(other);
    await other.getByRole('button', { name: 'New bill' }).click();
    await other.getByRole('button', { name: 'Make the bill' }).waitFor();
    assert.equal(await other.evaluate(() => localStorage.getItem('chama.bill')), own, 'the own bill is kept');
  },

  // The same phone is asked by two bills at once: only one prompt is there, and neither
  // bill takes the other's money for its own.
  async 'an open payment of another bill'(scene) {
    const page = await scene.bill();
    await line(page, 0).getByRole('button', { name: 'Ask' }).click();
    await word(page, 0, 'Waiting for PIN');
    await page.getByRole('button', { name: 'New bill' }).click();
    await page.getByLabel('Total, in shillings').fill('900');
    await page.getByRole('button', { name: 'Make the bill' }).click();
    await line(page, 0).getByRole('button', { name: 'Ask' }).click();
    await word(page, 0, 'Not sent');
    await line(page, 0).getByRole('button', { name: /^Ask again in \d:\d\d: Amina$/ }).waitFor();
    await scene.press(PHONES[0], 'pay');
    await sleep(3000);
    await pot(page, '0');
    await page.goBack(); // to the bill that was left, with its phones and what was asked for
    await word(page, 0, 'Paid');
    await pot(page, '500');
    assert.equal(await line(page, 1).getByRole('button', { name: 'Ask' }).count(), 1);
    await page.goForward();
    await pot(page, '0');
  },

  // The first field that is wrong has its say, in the language of the moment.
  async 'a bill that is wrong'(scene) {
    const page = await scene.visitor();
    await page.goto(scene.machine.page + '/chama/');
    await page.getByRole('button', { name: 'Go on without an account' }).click();
    const name = page.locator('[name=member]').nth(1), phone = page.locator('[name=phone]').nth(1), problem = page.locator('.person .problem').nth(1);
    const focused = () => page.evaluate(() => document.activeElement.name);
    await name.fill('');
    await phone.fill('12');
    await page.getByRole('button', { name: 'Make the bill' }).click();
    assert.deepEqual([await focused(), await problem.textContent()], ['member', 'Please give a name.']);
    assert.equal(await phone.getAttribute('aria-describedby'), null);
    await scene.accessible(page);
    await page.getByRole('button', { name: 'Kiswahili' }).click();
    assert.equal(await problem.textContent(), 'Tafadhali andika jina.');
    await name.fill('Juma');
    await page.getByRole('button', { name: 'Tengeneza bili' }).click();
    assert.equal(await focused(), 'phone');
    assert.match(await problem.textContent(), /nambari ya simu ya Kenya/);
  },

  // The session belongs to all tabs: this one asks nothing as somebody else, or as nobody.
  async 'another tab signs out'(scene) {
    const page = await scene.bill(), other = await page.context().newPage();
    await other.goto(page.url());
    await other.getByRole('button', { name: 'Sign out' }).click();
    await other.getByRole('button', { name: 'Go on without an account' }).waitFor();
    await page.locator('#ask-all').click();
    await page.getByRole('button', { name: 'Sign in' }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Sign out' }).count(), 0);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('You are watching').waitFor(); // the phones went with the session
    await page.getByRole('button', { name: 'New bill' }).click();
    await page.getByRole('button', { name: 'Make the bill' }).click();
    await page.locator('#ask-all').waitFor();
    await other.reload();
    await other.getByRole('button', { name: 'Sign out' }).click();
    await other.getByRole('button', { name: 'Go on without an account' }).click();
    await other.getByRole('button', { name: 'Make the bill' }).waitFor();
    await line(page, 0).getByRole('button', { name: 'Ask' }).click();
    await page.getByText('Only the account that made this bill can see who paid.').waitFor();
    for (const p of PHONES) assert.equal((await scene.phone(p)).prompts.length, 0, p);
  },

  async 'signing out and copying do not work'(scene) {
    const page = await scene.bill();
    await page.context().setOffline(true);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await page.getByRole('alert').getByText('Signing out did not work').waitFor();
    await page.context().setOffline(false);
    await page.reload();
    await word(page, 0, 'Not asked yet');
    await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.reject(new Error('no')); });
    const [shown] = await Promise.all([
      page.waitForEvent('dialog').then(async (d) => { const is = [d.message(), d.defaultValue()]; await d.dismiss(); return is; }),
      page.locator('#copy').click(),
    ]);
    assert.deepEqual(shown, ['Copy this link:', page.url()]);
    assert.equal(await page.locator('#copy').textContent(), 'Copy link');
    await page.evaluate(() => { navigator.clipboard.writeText = () => Promise.resolve(); });
    await page.locator('#copy').click();
    await page.getByText('Link copied').waitFor();
  },

  // An ask that never reached the server, minutes ago: nothing was sent, and it may be asked again.
  async 'an ask that was lost'(scene) {
    const page = await scene.bill();
    await page.route('**/executions', (route) => route.abort());
    for (const n of [0, 1]) {
      await line(page, n).getByRole('button', { name: 'Ask' }).click();
      await word(page, n, 'Waiting for PIN');
    }
    await page.evaluate(() => {
      const asked = JSON.parse(localStorage.getItem('chama.asked'));
      for (const attempts of Object.values(asked)) for (const a of attempts) a.at -= 240_000;
      localStorage.setItem('chama.asked', JSON.stringify(asked));
    });
    await page.clock.install();
    await page.reload();
    await word(page, 0, 'Being checked');
    await page.clock.fastForward(125_000);
    await word(page, 0, 'Not known yet');
    await word(page, 1, 'Not known yet');
    await sleep(1000); // in which it asks in vain
    await page.unroute('**/executions');
    await line(page, 0).getByRole('button', { name: 'Check now' }).click();
    await word(page, 0, 'Not sent');
    const kept = () => page.evaluate(() => Object.values(JSON.parse(localStorage.getItem('chama.asked'))).map((of) => of.length));
    assert.deepEqual(await kept(), [0, 1]);
    await page.reload();
    await word(page, 0, 'Not asked yet');
    await word(page, 1, 'Being checked');
    await page.clock.fastForward(125_000);
    await word(page, 1, 'Not sent'); // nobody had to ask
    assert.deepEqual(await kept(), [0, 0]);
    await line(page, 0).getByRole('button', { name: 'Ask' }).click();
    await scene.press(PHONES[0], 'pay');
    await pot(page, '500');
  },

  'SDK 17': withSDK(17),
  'SDK 24.2': withSDK(24),
  'SDK 25': withSDK(25),
  'SDK 28': withSDK(28),

  // One hundred payments, twenty at a time, to see how long the page takes.
  async 'a hundred payments'(scene) {
    const page = await scene.visitor();
    await page.route('**/chama/config.js', async (route) => {
      const body = await (await route.fetch()).text();
      const members = Array.from({ length: 20 }, (_, i) => ({ name: `Member ${i + 1}`, phone: `07000010${String(i).padStart(2, '0')}` }));
      await route.fulfill({ contentType: 'text/javascript', body: body.replace('export default', `here.example = ${JSON.stringify({ name: 'Harambee', total: 2000, members })};\nexport default`) });
    });
    await page.goto(scene.machine.page + '/chama/');
    await page.getByRole('button', { name: 'Sign in' }).click();
    for (let bill = 0; bill < 5; bill++) {
      await page.getByLabel('What is it for?').fill(`Harambee ${bill + 1}`);
      for (let i = 0; i < 20; i++) await page.getByLabel('M-Pesa phone').nth(i).fill(`0700${bill}010${String(i).padStart(2, '0')}`);
      await page.getByRole('button', { name: 'Make the bill' }).click();
      await page.getByRole('button', { name: 'Ask everybody' }).click();
      for (let i = 0; i < 20; i++) await scene.press(`254700${bill}010${String(i).padStart(2, '0')}`, 'pay');
      await full(page);
      await page.getByRole('button', { name: 'New bill' }).click();
    }
  },
};

/** Plays one scenario and says what was seen, and what went wrong. */
async function play(browser, name, machine) {
  const scene = new Scene(browser, name, machine);
  let error = '';
  try {
    await scenarios[name](scene);
    assert.deepEqual(scene.errors, []);
    // A sum that gets longer moves by some pixels, and nothing else may move at all.
    assert.deepEqual(scene.shift.filter(([, value]) => value > 0.003), [], 'the layout shifts');
  } catch (e) {
    error = String(e.stack ?? e);
    const page = scene.contexts.at(-1)?.pages()[0];
    await page?.screenshot({ path: `${folder}/FAILED ${name}.png`, fullPage: true }).catch(() => {});
  }
  await Promise.all(scene.contexts.map((c) => c.close().catch(() => {})));
  console.log(JSON.stringify({ name, error, pot: scene.pot, paid: scene.paid }));
}

/** The one that is timed has the machine to itself, but for those that mostly wait. */
const TIMED = 'a hundred payments', WAITING = ['silence', 'callback lost', 'database down'];

async function playAll(machines) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] });
  // A machine with too much to do would be told, truly, that a payment was not sent.
  const some = async (names, atOnce) => {
    const next = async () => { for (let name; (name = names.shift());) await play(browser, name, machines[name]); };
    await Promise.all(Array.from({ length: atOnce }, next));
  };
  const names = Object.keys(machines);
  const waiting = some(names.filter((name) => WAITING.includes(name)), WAITING.length);
  await some(names.filter((name) => name === TIMED), 1);
  await some(names.filter((name) => name !== TIMED && !WAITING.includes(name)), 5);
  await waiting;
  await browser.close();
}

if (command === 'list') console.log(Object.keys(scenarios).join('\n'));
else await playAll(JSON.parse(readFileSync(0, 'utf8')));
