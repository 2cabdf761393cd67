// The phones beside the page, and the buttons that spoil something.

const shillings = (n) => 'KES ' + n.toLocaleString('en-KE');
const nodes = new Map(); // by number

function send(path, body) {
  return fetch(path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });
}

function newPhone({ number, owner }) {
  const node = document.getElementById('phone').content.firstElementChild.cloneNode(true);
  const title = [owner, '0' + number.slice(3)].filter(Boolean).join(' · ');
  node.querySelector('h2').textContent = title;
  node.setAttribute('aria-label', `Phone ${title}`);
  const pin = node.querySelector('input');
  const press = (key) => send('/machine/answer', { id: node.dataset.prompt, key, pin: pin.value });
  node.querySelector('form').addEventListener('submit', (event) => { event.preventDefault(); press('pay'); });
  node.querySelector('.cancel').addEventListener('click', () => press('cancel'));
  node.querySelector('.ignore').addEventListener('click', () => press('ignore'));
  document.getElementById('phones').append(node);
  nodes.set(number, node);
  return node;
}

/** What M-Pesa sends the phone when it is over. */
function message(p) {
  if (!p.code) return 'The prompt has gone.';
  switch (p.code) {
    case '0': return `${p.receipt} Confirmed. ${shillings(p.amount)} sent to ${p.business} for account ${p.reference}.`;
    case '1032': return 'You have cancelled the request.';
    case '2001': return 'You have entered the wrong PIN.';
    default: return 'The request has expired.';
  }
}

function show(phone) {
  const node = nodes.get(phone.number) ?? newPhone(phone);
  const open = phone.prompts.find((p) => p.open), last = phone.prompts[0];
  node.querySelector('.idle').hidden = Boolean(last);
  node.querySelector('.prompt').hidden = !open;
  node.querySelector('.sms').hidden = !last || Boolean(open);
  if (open) {
    node.dataset.prompt = open.id;
    node.querySelector('.asks').textContent = `Do you want to pay ${shillings(open.amount)} to ${open.business}, account ${open.reference}?`;
  } else if (last) {
    node.querySelector('.sms').textContent = message(last);
  }
}

new EventSource('/machine').addEventListener('message', ({ data }) => {
  const { phones, realtimeDown, databaseDown } = JSON.parse(data);
  phones.forEach(show);
  document.querySelector('[data-spoil=realtime]').setAttribute('aria-pressed', String(realtimeDown));
  document.querySelector('[data-spoil=database]').setAttribute('aria-pressed', String(databaseDown));
});

for (const button of document.querySelectorAll('[data-spoil]')) {
  button.addEventListener('click', async () => {
    const { ok } = await send('/machine/spoil', { what: button.dataset.spoil });
    const next = !button.hasAttribute('aria-pressed');
    document.getElementById('said').textContent = !ok ? 'That did not work.' : next ? `${button.textContent}: the next payment will suffer it.` : '';
  });
}
