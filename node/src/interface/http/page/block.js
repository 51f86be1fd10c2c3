// One block: its header, its work, its transactions; and a copy of its bytes to tamper with.

import { blockLink, el, facts, shortHash, show, stranger, table, transactionLink } from './dom.js';
import { get, getBytes } from './api.js';
import { fromHex, hex } from './hash.js';
import { inTurn, listen, state } from './live.js';
import { ago, big, moment, number, rich, t } from './text.js';
import { layout, work } from './verify.js';
import { deed, who } from './words.js';
import { word } from './glossary.js';

// Bytes of a block that are shown to be tampered with; its header is always among them.
const SHOWN = 1024;
// Transactions that are listed.
const LISTED = 200;

// The bits at the beginning of a hash that are zero.
function zeros(hash) {
  const first = hash.search(/[^0]/);
  return first < 0 ? 256 : 4 * first + Math.clz32(parseInt(hash[first], 16)) - 28;
}

function header(block) {
  const code = (text) => el('code.long', {}, text);
  return facts([
    [word('hash'), code(block.hash)],
    [
      word('previous'),
      block.height === 0 ? code(block.previous_hash) : blockLink(block.previous_hash, code(block.previous_hash)),
    ],
    [t('block.time'), [moment(block.timestamp), ' (', ago(block.timestamp), ')']],
    [word('miner'), block.height === 0 ? '-' : who(block.miner)],
    [
      word('work'),
      rich('block.work', { zeros: zeros(block.hash), tries: big(block.difficulty), nonce: el('code', {}, String(block.nonce)) }),
    ],
    [word('target'), el('code', {}, block.target)],
    [word('transactions_root'), code(block.transactions_root)],
    [word('state_root'), code(block.state_root)],
    [t('block.size'), t('block.bytes', { n: block.size })],
  ]);
}

function transactions(block) {
  if (block.transactions.length === 0) return el('p', {}, t('block.empty'));
  const rows = block.transactions
    .slice(0, LISTED)
    .map((one, i) => [number(i + 1), deed(one.sender, one.action), number(one.fee), transactionLink(one.id)]);
  return [
    table(t('block.transactions'), ['#', t('block.what'), t('block.fee'), t('block.id')], rows, 1),
    block.transactions.length > LISTED && el('p.note', {}, t('block.more', { n: block.transactions.length - LISTED })),
  ];
}

// What the bytes give, beside what is true of the real block.
function checks(bytes, block, pow, next) {
  let found;
  try {
    found = work(bytes, pow);
  } catch {
    return el('p.bad', {}, t('tamper.broken'));
  }
  const row = (name, says, gives, holds) => [
    name,
    el('code', { title: says }, shortHash(says)),
    el('code', { title: gives }, shortHash(gives)),
    el(holds ? 'span.good' : 'span.bad', {}, holds ? `✓ ${t('tamper.holds')}` : `✕ ${t('tamper.breaks')}`),
  ];
  const rows = found.ids
    .slice(0, 5)
    .map((id, i) =>
      row(t('tamper.transaction', { n: i + 1 }), block.transactions[i]?.id ?? '-', id, id === block.transactions[i]?.id),
    );
  rows.push(row(t('tamper.root'), found.saidRoot, found.root, found.root === found.saidRoot));
  rows.push(row(t('tamper.id'), block.hash, found.id, found.id === block.hash));
  if (block.height > 0) {
    const target = found.target.toString(16).padStart(64, '0');
    rows.push([
      t('tamper.work'),
      el('code', { title: target }, `≤ ${target.slice(0, 8)}…`),
      el('code', { title: found.id }, `${found.id.slice(0, 8)}…`),
      el(found.meets ? 'span.good' : 'span.bad', {}, found.meets ? `✓ ${t('tamper.holds')}` : `✕ ${t('tamper.breaks')}`),
    ]);
  }
  if (next)
    rows.push(row(t('tamper.next', { height: next.height }), next.previous_hash, found.id, next.previous_hash === found.id));
  const isSame = found.id === block.hash && found.root === found.saidRoot;
  return [
    el(isSame ? 'p.good' : 'p.bad', {}, t(isSame ? 'tamper.untouched' : found.meets ? 'tamper.other' : 'tamper.refused')),
    table(t('tamper.title'), [t('tamper.what'), t('tamper.says'), t('tamper.gives'), t('tamper.verdict')], rows, 0),
  ];
}

function fieldAt(fields, transactionsFrom, at) {
  const field = fields.find(({ from, to }) => at >= from && at < to);
  return t(field ? `field.${field.name}` : at >= transactionsFrom ? 'field.transactions' : 'field.frame');
}

function tamper(original, block, pow, next) {
  const bytes = original.slice();
  const { fields } = layout(original);
  const length = Math.min(bytes.length, SHOWN);
  let place = fields[5].to - 1;
  const result = el('div', { role: 'status' });
  const told = el('p.note', { role: 'status' });
  const input = el('input', { type: 'number', id: 'place', min: 0, max: length - 1, value: place });
  const value = el('input', {
    type: 'text',
    id: 'value',
    maxlength: 2,
    size: 2,
    pattern: '[0-9a-fA-F]{2}',
    autocapitalize: 'off',
    spellcheck: 'false',
  });
  const cells = Array.from({ length }, (_, i) =>
    el(
      `span.byte.${
        ['a', 'b'][
          Math.max(
            0,
            fields.findIndex(({ from, to }) => i >= from && i < to),
          ) % 2
        ]
      }`,
      { click: () => choose(i) },
    ),
  );
  const paint = () => {
    cells.forEach((cell, i) => {
      const text = hex(bytes.subarray(i, i + 1));
      if (cell.textContent !== text) cell.textContent = text;
      cell.classList.toggle('changed', bytes[i] !== original[i]);
      cell.classList.toggle('chosen', i === place);
    });
    value.value = hex(bytes.subarray(place, place + 1));
    told.textContent = t('tamper.place', { place, field: fieldAt(fields, fields.at(-1).to, place) });
    show(result, hex(bytes), () => checks(bytes, block, pow, next()));
  };
  const choose = (i) => {
    place = Math.min(length - 1, Math.max(0, Math.trunc(i)));
    // What is being typed is left alone.
    if (document.activeElement !== input) input.value = place;
    paint();
  };
  const set = (byte) => {
    bytes[place] = byte;
    paint();
  };
  input.addEventListener('input', () => choose(Number(input.value)));
  value.addEventListener('input', () => {
    if (/^[0-9a-f]{2}$/i.test(value.value)) set(fromHex(value.value)[0]);
  });
  paint();
  return [
    el('p', {}, t('tamper.lead')),
    el(
      'div.row',
      {},
      el('span.pair', {}, el('label', { for: 'place' }, t('tamper.byte')), input),
      el('span.pair', {}, el('label', { for: 'value' }, t('tamper.value')), value),
      el('button', { type: 'button', click: () => set(bytes[place] ^ 1) }, t('tamper.flip')),
      el(
        'button.plain',
        {
          type: 'button',
          click: () => {
            bytes.set(original);
            paint();
          },
        },
        t('tamper.restore'),
      ),
    ),
    told,
    el('div.bytes.scroll', { 'aria-label': t('tamper.bytes'), role: 'region', tabindex: 0 }, cells),
    bytes.length > length && el('p.note', {}, t('tamper.cut', { n: length, all: bytes.length })),
    result,
    el('p.note', {}, t('tamper.honest')),
  ];
}

// A block, and the one after it on the chain; null where it is the last, or beside the chain.
async function withNext(id) {
  const block = await get(`/api/v1/blocks/${encodeURIComponent(id)}`);
  const hasNext = block.active && block.height < (state.status?.height ?? 0);
  return { block, next: hasNext ? await get(`/api/v1/blocks/${block.height + 1}`) : null };
}

export async function showView(main, [id]) {
  let now = await withNext(id);
  const { block } = now;
  const [bytes, spec] = await Promise.all([getBytes(`/api/v1/blocks/${block.hash}/raw`), get('/api/v1/chain/spec')]);
  const lead = el('p.lead');
  const around = el('nav.row', { 'aria-label': t('block.around') });
  const draw = () => {
    show(lead, now.block.active, () => [
      t(now.block.active ? 'block.active' : 'block.stale'),
      ' ',
      typeof block.data === 'string' && rich('block.record', { text: stranger(block.data) }),
    ]);
    show(around, now.next?.hash ?? null, () => [
      block.height > 0 && blockLink(block.previous_hash, `← ${t('block.before')}`),
      now.next && blockLink(now.next.hash, `${t('block.after')} →`),
    ]);
  };
  draw();
  main.append(
    el('h1', { tabindex: -1 }, t('block.title', { height: block.height })),
    lead,
    around,
    el('section.card', {}, el('h2', {}, t('block.header')), header(block)),
    el('section.card', {}, el('h2', {}, t('block.transactions')), transactions(block)),
    el('section.card', { id: 'tamper' }, el('h2', {}, t('tamper.title')), tamper(bytes, block, spec.pow, () => now.next)),
  );
  // By its hash: whatever the address names, it is this block that is shown.
  const look = inTurn(async () => {
    now = await withNext(block.hash);
    draw();
  });
  let tip = state.status?.tip;
  return listen((kind) => {
    if (kind !== 'reorg' && state.status?.tip === tip) return;
    tip = state.status?.tip;
    // The next event or look tries again; that the node is gone is told elsewhere.
    look().catch(() => undefined);
  });
}
