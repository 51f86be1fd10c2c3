// The chain: its tree near the tip, and every block of it in a list that holds only the rows in sight.

import { blockLink, el, shortHash } from './dom.js';
import { get } from './api.js';
import { listen, state } from './live.js';
import { clock, number, t } from './text.js';
import { treeView } from './tree.js';
import { who } from './words.js';

const PAGE = 100;
// Pages of blocks that are kept; the one that was shown longest ago goes first.
const PAGES = 40;
// A page is not fetched again sooner than this, in ms.
const AGAIN = 200;
// Rows above and below those in sight.
const SPARE = 8;

// The lowest block that this node has besides the genesis block: one that began with a later state has not all.
const beginning = () => state.status?.blocks_from ?? 1;
const isAbsent = (height) => height > 0 && height < beginning();

// Blocks by height, fetched a page at a time.
class Blocks {
  #pages = new Map();
  #arrived;

  constructor(arrived) {
    this.#arrived = arrived;
  }

  // The block; undefined until it has arrived, null where this node does not have it.
  at(height) {
    if (isAbsent(height)) return null;
    const page = Math.floor(height / PAGE);
    const known = this.#pages.get(page) ?? { blocks: [], again: 0 };
    this.#pages.delete(page);
    this.#pages.set(page, known);
    if (this.#pages.size > PAGES) this.#pages.delete(this.#pages.keys().next().value);
    if (known.blocks[height % PAGE] === undefined || known.stale) this.#load(page, known);
    return known.blocks[height % PAGE];
  }

  // Fetches anew what a reorganisation may have changed, from a height upwards.
  forget(height) {
    for (const [page, known] of this.#pages) known.stale ||= (page + 1) * PAGE > height;
  }

  async #load(page, known) {
    if (performance.now() < known.again) return;
    known.again = Infinity;
    const wasStale = known.stale;
    known.stale = false;
    // What came before an error is shown; of what was known before, the rest stays.
    const blocks = [];
    try {
      const end = (page + 1) * PAGE;
      for (let from = page * PAGE; from !== null && from < end;) {
        if (isAbsent(from)) {
          from = beginning();
          continue;
        }
        // What this node does not have is not asked for, not even as a part of a page.
        const limit = isAbsent(from + 1) ? 1 : end - from;
        const answer = await get(`/api/v1/blocks?from=${from}&limit=${limit}`);
        for (const block of answer.blocks) blocks[block.height % PAGE] = block;
        from = answer.next;
      }
      known.blocks = blocks;
    } catch {
      // The next look tries again; that the node is gone is told elsewhere.
      known.stale ||= wasStale;
      blocks.forEach((block, at) => {
        known.blocks[at] = block;
      });
    }
    known.again = performance.now() + AGAIN;
    if (blocks.length > 0) this.#arrived();
  }
}

function cells(block, height) {
  const cell = (kind, ...content) => el(`span.${kind}`, { role: 'cell' }, ...content);
  if (!block) return [cell('height', number(height)), cell('hash', t(block === null ? 'list.absent' : 'list.loading'))];
  return [
    cell('height', number(height)),
    cell('hash', blockLink(block.hash)),
    cell('before', el('code', {}, height === 0 ? '-' : shortHash(block.previous_hash))),
    cell('when', clock(block.timestamp)),
    cell('count', number(block.transactions.length)),
    cell('miner', height === 0 ? '-' : who(block.miner)),
  ];
}

function list() {
  const heads = ['height', 'hash', 'before', 'when', 'count', 'miner'];
  const body = el('div.rows', { role: 'rowgroup' });
  const box = el(
    'div.list',
    { role: 'table', 'aria-label': t('list.label'), tabindex: 0 },
    el(
      'div.head',
      { role: 'rowgroup' },
      el(
        'div.row',
        { role: 'row' },
        heads.map((one) => el(`span.${one}`, { role: 'columnheader' }, t(`list.${one}`))),
      ),
    ),
    body,
  );
  const rows = new Map();
  let blocks;
  let top = -1;
  let pending = false;
  const rowHeight = () =>
    parseFloat(getComputedStyle(box).getPropertyValue('--row')) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  const paint = () => {
    pending = false;
    if (top < 0) return;
    const size = rowHeight();
    body.style.height = `${(top + 1) * size}px`;
    box.style.setProperty('--all', `${(top + 2) * size + 2}px`);
    box.setAttribute('aria-rowcount', top + 2);
    const first = Math.max(0, Math.floor(box.scrollTop / size) - SPARE);
    const last = Math.min(top, Math.ceil((box.scrollTop + box.clientHeight) / size) + SPARE);
    for (const [height, row] of rows)
      if (top - height < first || top - height > last) {
        row.remove();
        rows.delete(height);
      }
    for (let index = first; index <= last; index += 1) {
      const height = top - index;
      const block = blocks.at(height);
      const sign = block === null ? 'absent' : (block?.hash ?? '');
      let row = rows.get(height);
      if (row === undefined || row.dataset.sign !== sign) {
        const fresh = el('div.row', { role: 'row', 'data-sign': sign }, cells(block, height));
        if (row === undefined) body.append(fresh);
        else row.replaceWith(fresh);
        rows.set(height, fresh);
        row = fresh;
      }
      row.setAttribute('aria-rowindex', index + 2);
      row.style.transform = `translateY(${index * size}px)`;
    }
  };
  const later = () => {
    if (!pending) requestAnimationFrame(paint);
    pending = true;
  };
  blocks = new Blocks(later);
  box.addEventListener('scroll', later, { passive: true });
  const grow = (height) => {
    // Whoever has scrolled down goes on seeing the same blocks.
    const more = height - top;
    if (top >= 0 && box.scrollTop > 0) box.scrollTop += more * rowHeight();
    top = height;
    later();
  };
  return {
    box,
    later,
    grow,
    forget: (height) => blocks.forget(height),
    to: (height) => {
      box.scrollTop = (top - height) * rowHeight();
      box.focus();
    },
  };
}

export function showView(main) {
  const tree = treeView();
  const rows = list();
  const height = el('input', { type: 'number', id: 'to-height', min: 0, value: 0, required: true });
  const jump = el(
    'form.row.jump',
    {
      submit: (event) => {
        event.preventDefault();
        rows.to(Number(height.value));
      },
    },
    el('label', { for: 'to-height' }, t('list.go')),
    height,
    el('button', {}, t('list.show')),
  );
  main.append(
    el('h1', { tabindex: -1 }, t('chain.title')),
    el('p.lead', {}, t('chain.lead')),
    el('section.card', {}, el('h2', {}, t('tree.title')), tree.root, el('p.note', {}, t('tree.legend'))),
    el('section.card', {}, el('h2', {}, t('list.title')), jump, rows.box),
  );
  let tip = null;
  const update = (kind, data) => {
    if (kind === 'reorg') data.filter((one) => one.outcome === 'adopted').forEach((one) => rows.forget(one.fork_height));
    tree.update();
    // Also what could not be fetched a moment ago.
    rows.later();
    if (state.status === null || state.status.tip === tip) return;
    tip = state.status.tip;
    height.max = state.status.height;
    rows.grow(state.status.height);
  };
  update();
  const stop = listen(update);
  const observer = new ResizeObserver(rows.later);
  observer.observe(rows.box);
  return () => {
    stop();
    tree.stop();
    observer.disconnect();
  };
}
