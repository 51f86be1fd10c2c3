// Items: who holds what; one item with its custody and a label to print.

import { blockLink, el, show, stranger, table, transactionLink } from './dom.js';
import { get, Problem } from './api.js';
import { asOf, form, keyField, whoField } from './forms.js';
import { pages } from './list.js';
import { inTurn, listen, state } from './live.js';
import { rich, t } from './text.js';
import { itemLink, who } from './words.js';

const PAGE = 50;
const HISTORY = 100;

export function showView(main) {
  const choice = el(
    'select',
    { id: 'state', change: () => list.renew() },
    ['', 'reserved', 'available'].map((one) => el('option', { value: one }, t(`items.${one || 'all'}`))),
  );
  const list = pages(
    (after) =>
      `/api/v1/items?limit=${PAGE}${choice.value && `&state=${choice.value}`}${after === null ? '' : `&after=${encodeURIComponent(after)}`}`,
    {
      rows: (answer) => answer.items,
      table: (all) =>
        all.length === 0
          ? el('p', {}, t('items.none'))
          : table(
              t('nav.items'),
              [t('items.item'), t('items.holder')],
              all.map((one) => [itemLink(one.item), one.holder === null ? t('items.free') : who(one.holder)]),
              0,
            ),
    },
  );
  const name = el('input', { id: 'find-item', required: true, maxlength: 64 });
  main.append(
    el('h1', { tabindex: -1 }, t('nav.items')),
    el('p.lead', {}, t('items.lead')),
    el(
      'section.card',
      {},
      el('h2', {}, t('items.title')),
      el(
        'div.finder',
        {},
        el(
          'form.row',
          {
            submit: (event) => {
              event.preventDefault();
              location.hash = `#/item/${encodeURIComponent(name.value.trim())}`;
            },
          },
          el('label', { for: 'find-item' }, t('items.find')),
          name,
          el('button', {}, t('list.show')),
        ),
        el('div.row', {}, el('label', { for: 'state' }, t('items.which')), choice),
      ),
      list.root,
    ),
  );
  list.refresh();
  return listen((kind) => {
    if (kind === 'status' || kind === 'keys') list.refresh();
  });
}

function history(entries) {
  return el(
    'ol.custody',
    {},
    entries.map((one) =>
      el(
        'li',
        {},
        rich(`custody.${one.action}`, { from: one.from === null ? '-' : who(one.from), to: one.to === null ? '-' : who(one.to) }),
        ' ',
        el(
          'span.note',
          {},
          rich('custody.where', {
            block: blockLink(one.block ?? String(one.height), String(one.height)),
            transaction: transactionLink(one.transaction),
          }),
        ),
      ),
    ),
  );
}

function label(name) {
  const isHere = ['127.0.0.1', 'localhost', '[::1]'].includes(location.hostname);
  // The node cannot know under which address its page was opened, if a server before it passed that on.
  const src = `/api/v1/items/${encodeURIComponent(name)}/label.svg?origin=${encodeURIComponent(location.origin)}`;
  return el(
    'section.card.label',
    {},
    el('h2', {}, t('label.title')),
    el(
      'figure',
      {},
      el('img', { src, alt: t('label.alt'), width: 240, height: 240 }),
      el('figcaption', {}, el('strong', {}, stranger(name)), el('br'), state.status?.chain ?? ''),
    ),
    el('button', { type: 'button', click: () => print() }, t('label.print')),
    isHere && el('p.note.screen', {}, t('label.here')),
  );
}

// What can be done with an item, by whether somebody holds it.
function deeds(name, isFree, holder) {
  const path = `/api/v1/wallet/items/${encodeURIComponent(name)}`;
  if (isFree) return form({ key: 'request', path: `${path}/request`, fields: [keyField()] });
  return [
    form({ key: 'release', path: `${path}/release`, fields: [keyField(holder)] }),
    form({ key: 'hand', path: `${path}/transfer`, fields: [keyField(holder), whoField('to')] }),
  ];
}

// What a path gives; null where there is no such thing.
async function ifThere(path) {
  try {
    return await get(path);
  } catch (error) {
    if (error instanceof Problem && error.status === 404) return null;
    throw error;
  }
}

// Who holds an item, or held it after the block that the answer names.
function holding(item) {
  if (item === null) return t('items.never');
  const text = item.holder === null ? t('items.isFree') : rich('items.held', { who: who(item.holder) });
  return [item.height !== undefined && el('strong', {}, t('asOf.then', { height: item.height }), ': '), text];
}

// What happened to the item at a path, the oldest first: as much as is wanted, page by page, and whether there is more.
async function chapters(path, wanted) {
  const all = [];
  let next = null;
  do {
    const page = await ifThere(`${path}/history?limit=${HISTORY}${next === null ? '' : `&from=${next}`}`);
    all.push(...(page?.history ?? []));
    next = page?.next ?? null;
  } while (next !== null && all.length < wanted);
  return { all, hasMore: next !== null };
}

export async function showItem(main, [name]) {
  const path = `/api/v1/items/${encodeURIComponent(name)}`;
  const holder = el('p.lead', { role: 'status' });
  const when = asOf(() => look().catch(() => undefined));
  const custody = el('div');
  let wanted = HISTORY;
  const readOn = () => {
    wanted += HISTORY;
    look().catch(() => undefined);
  };
  const more = el('button.plain', { type: 'button', hidden: true, click: readOn }, t('list.more'));
  const actions = el('div.forms');
  main.append(
    el('h1', { tabindex: -1 }, stranger(name)),
    holder,
    el('div.columns', {}, el('section.card', {}, el('h2', {}, t('custody.title')), when.root, custody, more), label(name)),
    el('h2', {}, t('items.do')),
    actions,
  );
  const look = inTurn(async () => {
    const [item, known, past] = await Promise.all([
      ifThere(path),
      chapters(path, wanted),
      when.isPast() ? when.get(path) : undefined,
    ]);
    const shown = known.all.filter((one) => past === undefined || one.height <= past.height);
    // What came after the block of the past that is shown is not asked for.
    more.hidden = !known.hasMore || shown.length < known.all.length;
    show(holder, [past ?? item, state.keys.length], () => el('span', {}, holding(past ?? item)));
    show(custody, [shown, state.keys.length], () => (shown.length === 0 ? el('p', {}, t('custody.none')) : history(shown)));
    // Whatever is shown of the past, what can be done is of now.
    const isFree = item === null || item.holder === null;
    show(actions, [isFree, item?.holder, state.keys.map((key) => key.name)], () => deeds(name, isFree, item?.holder_name));
  });
  await look();
  return listen((kind) => {
    if (kind === 'block' || kind === 'reorg' || kind === 'keys') look().catch(() => undefined);
  });
}
