// Sentences about what happened and what a transaction does.

import { blockLink, el, link, shortAddress, shortPeer, stranger } from './dom.js';
import { nameOf, state } from './live.js';
import { clock, known, number, rich, t } from './text.js';

// Whose address it is: the name that this node has for it, or its beginning and end.
export function who(address) {
  const name = nameOf(address);
  return el(
    'a.who',
    { href: `#/account/${address}`, title: address },
    name === undefined ? el('code', {}, shortAddress(address)) : stranger(name),
  );
}

export function itemLink(item) {
  return link(['item', item], stranger(item));
}

// What a transaction does.
export function deed(sender, action) {
  const values = { sender: who(sender) };
  switch (action.type) {
    case 'transfer':
      return rich('deed.transfer', { ...values, amount: action.amount, to: who(action.to) });
    case 'record':
      return rich('deed.record', { ...values, what: stranger(action.text ?? action.hex ?? action.content_type, 120) });
    case 'item_request':
      return rich('deed.item_request', { ...values, item: itemLink(action.item) });
    case 'item_release':
      return rich('deed.item_release', { ...values, item: itemLink(action.item) });
    case 'item_transfer':
      return rich('deed.item_transfer', { ...values, item: itemLink(action.item), to: who(action.to) });
    default:
      return t('deed.other');
  }
}

export function found(by) {
  return by && known(`found.${by}`) ? t(`found.${by}`) : (by ?? t('found.unknown'));
}

const NEWS = {
  block: (one) =>
    rich('news.block', { height: blockLink(one.hash, String(one.height)), miner: who(one.miner), n: one.transactions }),
  reorg: (one) =>
    one.outcome === 'adopted'
      ? t('news.reorg', { disconnected: one.disconnected, connected: one.connected, height: one.fork_height })
      : t('tree.refused', { reason: one.reason }),
  transaction: (one) => [deed(one.sender, one.action), ' ', el('span.note', {}, t('news.waits'))],
  peer: (one) =>
    one.change === 'connected'
      ? t('news.connected', {
          peer: shortPeer(one.peer_id),
          direction: t(`peers.${one.direction}`),
          transport: one.transport,
          found: found(one.found_by),
        })
      : t('news.lost', { peer: shortPeer(one.peer_id) }),
  mining: (one) => t(one.enabled ? 'news.mining' : 'news.rests', { n: one.threads }),
  lab: (one) => experiment(one) || t('news.lab.off'),
  sync: (one) => t(`news.sync.${one.state}`, { height: one.height, target: one.target_height, n: one.accepted }),
};

// A piece of news, as an entry of a list.
export function news({ kind, data, at }) {
  return el(`li.${kind}`, {}, clock(at), el('span', {}, NEWS[kind](data)));
}

// What of the laboratory is switched on, in a line; empty where nothing is.
export function experiment(lab = state.lab) {
  const on = [
    lab?.apart && t('lab.is.apart'),
    lab?.delay_ms > 0 && t('lab.is.delay', { n: number(lab.delay_ms / 1000) }),
    lab?.rival && t('lab.is.rival'),
  ].filter(Boolean);
  return on.length === 0 ? '' : t('lab.is.on', { what: on.join(', ') });
}
