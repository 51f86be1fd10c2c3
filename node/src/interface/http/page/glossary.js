// Words of the trade: each explained where it stands, by pointer or by focus, and all of them in one list.

import { el } from './dom.js';
import { t } from './text.js';

export const WORDS = [
  'block',
  'hash',
  'previous',
  'work',
  'target',
  'nonce',
  'miner',
  'height',
  'chain',
  'fork',
  'reorg',
  'consensus',
  'peer',
  'transaction',
  'pool',
  'fee',
  'account',
  'key',
  'signature',
  'item',
  'record',
  'digest',
  'transactions_root',
  'state_root',
  'difficulty',
  'hash_rate',
  'sync',
  'token',
];

let tip = null;

function hide() {
  tip?.remove();
  tip = null;
}

function explain(button, name) {
  hide();
  tip = el('div.tip', { role: 'tooltip', id: 'tip' }, t(`words.${name}`));
  button.after(tip);
  const box = tip.getBoundingClientRect();
  const room = document.documentElement.clientWidth - 8;
  if (box.right > room) tip.style.marginLeft = `${room - box.right}px`;
}

// A word that explains itself. Escape hides the explanation; it stays while the pointer is on it.
export function word(name) {
  const button = el('button.word', { type: 'button', 'aria-describedby': 'tip' }, t(`word.${name}`));
  const holder = el('span.worded', {}, button);
  const open = () => explain(button, name);
  holder.addEventListener('mouseenter', open);
  holder.addEventListener('mouseleave', hide);
  button.addEventListener('focus', open);
  button.addEventListener('blur', hide);
  button.addEventListener('click', open);
  holder.addEventListener('keydown', (event) => {
    if (event.key === 'Escape') hide();
  });
  return holder;
}

export function showView(main) {
  main.append(
    el('h1', { tabindex: -1 }, t('nav.words')),
    el('p.lead', {}, t('words.lead')),
    el(
      'section.card',
      {},
      el(
        'dl.glossary',
        {},
        WORDS.map((name) => el('div', {}, el('dt', {}, t(`word.${name}`)), el('dd', {}, t(`words.${name}`)))),
      ),
    ),
  );
}
