// Transactions: what waits in the pool, what was mined lately, and one of them.

import { blockLink, el, facts, show, stranger, table, transactionLink } from './dom.js';
import { explain, get, Problem } from './api.js';
import { inTurn, listen, state } from './live.js';
import { ago, number, rich, t } from './text.js';
import { proofOf } from './proof.js';
import { deed, who } from './words.js';
import { word } from './glossary.js';

// Transactions of the pool, and blocks to look for mined ones in, that are shown.
const SHOWN = 50;
const BLOCKS = 30;

function waiting(all, count) {
  if (all.length === 0) return el('p', {}, t('pool.empty'));
  return [
    table(
      t('pool.title'),
      [t('block.what'), t('block.fee'), t('block.id')],
      all.map((one) => [deed(one.sender, one.action), number(one.fee), transactionLink(one.id)]),
      0,
    ),
    count > all.length && el('p.note', {}, t('block.more', { n: count - all.length })),
  ];
}

function mined(blocks) {
  const all = blocks.flatMap((block) => block.transactions.map((one) => ({ ...one, in: block }))).slice(0, SHOWN);
  if (all.length === 0) return el('p', {}, t('mined.none', { n: blocks.length }));
  return table(
    t('mined.title'),
    [t('list.height'), t('block.what'), t('list.when'), t('block.id')],
    all.map((one) => [
      blockLink(one.in.hash, String(one.in.height)),
      deed(one.sender, one.action),
      ago(one.in.timestamp),
      transactionLink(one.id),
    ]),
    1,
  );
}

export function showView(main) {
  const pool = el('div', { 'aria-live': 'polite' });
  const done = el('div');
  main.append(
    el('h1', { tabindex: -1 }, t('nav.transactions')),
    el('p.lead', {}, rich('transactions.lead', { do: el('a', { href: '#/do' }, t('nav.do')) })),
    el('section.card', {}, el('h2', {}, t('pool.title')), pool),
    el('section.card', {}, el('h2', {}, t('mined.title')), done),
  );
  const look = inTurn(async () => {
    try {
      const [{ transactions }, { blocks }] = await Promise.all([
        get(`/api/v1/pool?limit=${SHOWN}`),
        get(`/api/v1/blocks?order=desc&limit=${BLOCKS}`),
      ]);
      show(pool, [transactions.map((one) => one.id), state.status?.pool.transactions, state.keys.length], () =>
        waiting(transactions, state.status?.pool.transactions ?? 0),
      );
      show(done, [blocks[0]?.hash, state.keys.length], () => mined(blocks));
    } catch {
      // The next event or look tries again; that the node is gone is told elsewhere.
    }
  });
  let sign = '';
  look();
  return listen((kind) => {
    const now = `${state.status?.tip} ${state.status?.pool.transactions} ${state.keys.length}`;
    if (kind !== 'transaction' && kind !== 'keys' && now === sign) return;
    sign = now;
    look();
  });
}

// What shows to others that a mined transaction is in the chain.
function evidence(id) {
  const { button, output } = proofOf(id);
  return [
    el('p.note', {}, t('proof.lead')),
    el(
      'div.row',
      {},
      button,
      el('a.button', { href: `/api/v1/transactions/${id}/receipt`, download: `${id}.receipt` }, t('tx.receipt')),
    ),
    el('p.note', {}, rich('tx.receiptNote', { command: el('code', {}, 'bard verify-receipt') })),
    output,
  ];
}

// One transaction.
export async function showTransaction(main, [id]) {
  const place = el('div', { role: 'status' });
  const proof = el('div');
  const one = await get(`/api/v1/transactions/${encodeURIComponent(id)}`);
  const action = one.action;
  main.append(
    el('h1', { tabindex: -1 }, t('tx.title')),
    el('p.lead', {}, deed(one.sender, action)),
    el('section.card', {}, el('h2', {}, t('tx.where')), place, proof),
    el(
      'section.card',
      {},
      el('h2', {}, t('tx.what')),
      facts([
        [t('block.id'), el('code.long', {}, one.id)],
        [t('tx.sender'), who(one.sender)],
        [t('tx.nonce'), number(one.nonce)],
        [word('fee'), number(one.fee)],
        action.type === 'record' && [t('tx.kind'), stranger(action.content_type)],
        action.type === 'record' && [word('record'), el('div.content', {}, stranger(action.text ?? action.hex, 20_000))],
        [word('signature'), el('code.long', {}, one.signature)],
      ]),
    ),
  );
  // null when the node no longer knows it: it was replaced, or what it spends was spent on another branch.
  let known = one;
  const look = inTurn(async () => {
    try {
      known = await get(`/api/v1/transactions/${one.id}`);
    } catch (error) {
      if (error instanceof Problem && error.status === 404) known = null;
    }
  });
  const update = async (kind) => {
    const mayBeReplaced = kind === 'transaction' && known?.block === null;
    if (kind === 'block' || kind === 'reorg' || mayBeReplaced) await look();
    const block = known?.block ?? null;
    const n = block === null ? 0 : (state.status?.height ?? block.height) - block.height + 1;
    show(place, [known === null, block?.hash, n], () =>
      block === null
        ? el('p', {}, t(known === null ? 'tx.gone' : 'tx.waits'))
        : el('p', {}, rich('tx.mined', { n, block: blockLink(block.hash, String(block.height)) })),
    );
    // What is drawn of a proof stays until the transaction is in another block.
    show(proof, [block?.hash], () => (block === null ? [] : evidence(one.id)));
  };
  await update();
  return listen((kind) => {
    update(kind).catch((error) => place.replaceChildren(explain(error)));
  });
}
