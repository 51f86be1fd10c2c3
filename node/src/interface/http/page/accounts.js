// Accounts: all of them, and one with what it has sent and received.

import { blockLink, el, facts, show, stranger, table, transactionLink } from './dom.js';
import { get } from './api.js';
import { asOf } from './forms.js';
import { pages } from './list.js';
import { inTurn, listen } from './live.js';
import { number, t } from './text.js';
import { deed, who } from './words.js';

const PAGE = 50;

export function showView(main) {
  const list = pages((after) => `/api/v1/accounts?limit=${PAGE}${after === null ? '' : `&after=${after}`}`, {
    rows: (answer) => answer.accounts,
    table: (all) => {
      const most = Math.max(1, ...all.map((one) => one.balance));
      return table(
        t('nav.accounts'),
        [t('accounts.who'), t('accounts.balance'), t('accounts.pending'), t('accounts.sent')],
        [...all]
          .sort((a, b) => b.balance - a.balance)
          .map((one) => [
            who(one.address),
            [number(one.balance), el('meter', { min: 0, max: most, value: one.balance, 'aria-label': t('accounts.balance') })],
            one.pending.balance === one.balance ? '-' : number(one.pending.balance),
            number(one.nonce),
          ]),
        0,
      );
    },
  });
  main.append(
    el('h1', { tabindex: -1 }, t('nav.accounts')),
    el('p.lead', {}, t('accounts.lead')),
    el('section.card', {}, el('h2', {}, t('accounts.title')), list.root),
  );
  list.refresh();
  return listen((kind) => {
    if (kind === 'status' || kind === 'keys') list.refresh();
  });
}

// One account, now or as it was.
export async function showAccount(main, [address]) {
  const path = `/api/v1/accounts/${encodeURIComponent(address)}`;
  let account = await get(path);
  const when = asOf(() => look().catch(() => undefined));
  const title = el('h2');
  const numbers = el('div', { role: 'status' });
  const list = pages((from) => `${path}/transactions?limit=${PAGE}${from === null ? '' : `&from=${from}`}`, {
    rows: (answer) => answer.transactions,
    table: (all) =>
      all.length === 0
        ? el('p', {}, t('account.none'))
        : table(
            t('account.history'),
            [t('list.height'), t('block.what'), t('block.id')],
            all.map((one) => [
              one.block === null ? t('news.waits') : blockLink(one.block.hash, String(one.block.height)),
              deed(one.sender, one.action),
              transactionLink(one.id),
            ]),
            1,
          ),
  });
  main.append(
    el('h1', { tabindex: -1 }, account.name === null ? t('account.title') : stranger(account.name)),
    el('section.card', {}, title, when.root, numbers),
    el('section.card', {}, el('h2', {}, t('account.history')), list.root),
  );
  const draw = () => {
    const isPast = account.height !== undefined;
    title.textContent = isPast ? t('asOf.then', { height: account.height }) : t('account.now');
    show(numbers, account, () =>
      facts([
        [t('account.address'), el('code.long', {}, account.address)],
        [t('accounts.balance'), number(account.balance)],
        !isPast && [t('accounts.pending'), number(account.pending.balance)],
        [t('accounts.sent'), number(account.nonce)],
      ]),
    );
  };
  const look = inTurn(async () => {
    account = (await when.get(path)) ?? account;
    draw();
  });
  draw();
  list.refresh();
  return listen((kind) => {
    if (kind !== 'block' && kind !== 'transaction' && kind !== 'reorg') return;
    look().catch(() => undefined);
    list.refresh();
  });
}
