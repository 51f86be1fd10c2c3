// Lists that are fetched a page at a time.

import { explain, get } from './api.js';
import { el, show } from './dom.js';
import { inTurn, state } from './live.js';
import { t } from './text.js';

// A list that grows by a page whenever more is asked for. `path` gives where the page after a place is, the first one for null;
// `rows` gives those of an answer, `table` shows all. With its element come `refresh`, which fetches the first page anew unless
// more was asked for, and `renew`, which begins again because `path` gives another list now.
export function pages(path, { rows, table }) {
  const body = el('div');
  const more = el('button.plain', { type: 'button', hidden: true, click: () => want('more') }, t('list.more'));
  const trouble = el('div', { role: 'alert' });
  let all = [];
  let next = null;
  // Whoever has asked for more keeps what is shown.
  let isGrown = false;
  // What is fetched next: null, 'first', 'more' or 'anew'.
  let wish = null;
  const fetchNext = inTurn(async () => {
    const isFirst = wish !== 'more';
    wish = null;
    try {
      const answer = await get(path(isFirst ? null : next));
      // What is of the list before, and the place where that one goes on, is nothing for the one that is wanted now.
      if (wish === 'anew') return;
      all = isFirst ? rows(answer) : [...all, ...rows(answer)];
      next = answer.next;
      more.hidden = next === null;
      trouble.replaceChildren();
      show(body, [all, state.keys.length], () => table(all));
    } catch (error) {
      trouble.replaceChildren(explain(error));
    }
  });
  const want = (what) => {
    wish = what;
    isGrown = what === 'more';
    // Until the first page of the other list is there, there is no place to go on from.
    if (what === 'anew') more.hidden = true;
    fetchNext();
  };
  return {
    root: el('div', {}, body, more, trouble),
    refresh: () => {
      if (!isGrown && wish === null) want('first');
    },
    renew: () => want('anew'),
  };
}
