// The peers of this node: who they are, how they were found, and who agrees.

import { blockLink, el, facts, shortPeer, show, stranger, table } from './dom.js';
import { explain, send } from './api.js';
import { field, form } from './forms.js';
import { ask, listen, state } from './live.js';
import { agreement, drawNetwork, SIGNS } from './network.js';
import { number, t } from './text.js';
import { found } from './words.js';

function row(peer, trouble) {
  const kind = agreement(peer);
  const drop = async () => {
    try {
      await send('DELETE', `/api/v1/peers/${encodeURIComponent(peer.peer_id)}`);
      trouble.replaceChildren();
    } catch (error) {
      trouble.replaceChildren(explain(error));
    }
    ask('peers');
  };
  return [
    [el('code', { title: peer.peer_id }, shortPeer(peer.peer_id)), el('br'), stranger(peer.agent, 60)],
    el(`span.agreement.${kind}`, {}, `${SIGNS[kind]} ${t(`agreement.${kind}`)}`),
    peer.tip === null ? '-' : blockLink(peer.tip, number(peer.height)),
    found(peer.found_by),
    `${t(`peers.${peer.direction}`)}, ${peer.transport}`,
    peer.latency_ms === null ? '-' : `${number(peer.latency_ms)} ms`,
    peer.faults.length === 0
      ? t('peers.noFaults')
      : el(
          'ul',
          {},
          peer.faults.map((fault) => el('li', {}, stranger(fault))),
        ),
    el(
      'button.plain',
      {
        type: 'button',
        'data-key': peer.peer_id,
        click: drop,
        'aria-label': t('peers.dropOne', { peer: shortPeer(peer.peer_id) }),
      },
      t('peers.drop'),
    ),
  ];
}

function own() {
  const { node } = state;
  const all = [...node.listen, ...node.external];
  return facts([
    [t('peers.id'), el('code.long', {}, node.peer_id)],
    [t('peers.reach'), el('span', { lang: 'en' }, node.reachability)],
    [
      t('peers.addresses'),
      el(
        'ul.plain',
        {},
        all.map((address) => el('li', {}, el('code.long', {}, address))),
      ),
    ],
    node.notices.length > 0 && [
      t('peers.notices'),
      el(
        'ul.plain',
        {},
        node.notices.map((notice) => el('li.bad', { lang: 'en' }, stranger(notice, 500))),
      ),
    ],
    [t('peers.version'), node.version],
  ]);
}

export function showView(main) {
  const picture = el('div');
  const list = el('div');
  const trouble = el('div', { role: 'alert' });
  const self = el('div');
  main.append(
    el('h1', { tabindex: -1 }, t('nav.peers')),
    el('p.lead', {}, t('peers.lead')),
    el(
      'div.columns',
      {},
      el('section.card', {}, el('h2', {}, t('network.title')), picture, el('p.note', {}, t('network.legend'))),
      form({ key: 'register', path: '/api/v1/peers', fields: [field('address', { hint: t('field.address.hint') })] }),
    ),
    el('section.card', {}, el('h2', {}, t('peers.title')), list, trouble),
    el('section.card', {}, el('h2', {}, t('peers.own')), self),
  );
  const heads = ['who', 'agreement', 'height', 'found', 'way', 'latency', 'faults', 'act'];
  const update = () => {
    drawNetwork(picture);
    show(list, [state.peers, state.status?.tip], () =>
      state.peers.length === 0
        ? el('p', {}, t('peers.none'))
        : table(
            t('peers.title'),
            heads.map((one) => t(`peers.head.${one}`)),
            state.peers.map((peer) => row(peer, trouble)),
          ),
    );
    if (state.node !== null) show(self, { ...state.node, uptime_ms: 0 }, own);
  };
  update();
  return listen(update);
}
