// The peers of this node: who they are, how they were found, and who agrees.

import { blockLink, el, facts, shortPeer, show, stranger, table } from './dom.js';
import { explain, send } from './api.js';
import { register } from './do.js';
import { ask, listen, state } from './live.js';
import { agreement, drawNetwork, SIGNS } from './network.js';
import { moment, number, t } from './text.js';
import { found } from './words.js';

// How many of those that left are shown.
const LEFT = 8;

// A button that changes something about a peer, and tells what went wrong.
function act(what, peer, trouble, change) {
  const click = async () => {
    try {
      await change();
      trouble.replaceChildren();
    } catch (error) {
      trouble.replaceChildren(explain(error));
    }
    ['peers', 'bans'].forEach(ask);
  };
  const name = t(`peers.${what}One`, { peer: shortPeer(peer) });
  return el('button.plain', { type: 'button', 'data-key': `${what} ${peer}`, click, 'aria-label': name }, t(`peers.${what}`));
}

function row(peer, trouble) {
  const kind = agreement(peer);
  const id = peer.peer_id;
  return [
    [el('code', { title: peer.peer_id }, shortPeer(peer.peer_id)), el('br'), el('span.note', {}, stranger(peer.agent, 60))],
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
      'span.row',
      {},
      act('drop', id, trouble, () => send('DELETE', `/api/v1/peers/${encodeURIComponent(id)}`)),
      act('ban', id, trouble, () => send('POST', '/api/v1/bans', { peer: id })),
    ),
  ];
}

// Who is not spoken to, and who left; nothing where there is nobody.
function others(trouble) {
  const lift = (ban) =>
    act('lift', ban.peer, trouble, () => send('DELETE', `/api/v1/bans?peer=${encodeURIComponent(ban.peer)}`));
  const id = (peer) => el('code', { title: peer }, shortPeer(peer));
  return [
    state.bans.length > 0 && [
      el('h3', {}, t('peers.banned')),
      table(
        t('peers.banned'),
        ['who', 'until', 'by', 'why', 'act'].map((one) => t(`peers.head.${one}`)),
        state.bans.map((ban) => [
          id(ban.peer),
          moment(ban.until),
          t(`peers.by.${ban.by}`),
          ban.reason === '' ? '-' : stranger(ban.reason, 200),
          lift(ban),
        ]),
      ),
    ],
    state.departed.length > 0 && [
      el('h3', {}, t('peers.departed')),
      table(
        t('peers.departed'),
        ['who', 'when', 'why'].map((one) => t(`peers.head.${one}`)),
        state.departed
          .slice(0, LEFT)
          .map((one) => [id(one.peer_id), moment(one.at), el('span', { lang: 'en' }, stranger(one.reason, 200))]),
      ),
    ],
  ];
}

function own() {
  const { node } = state;
  const all = [...node.listen, ...node.external];
  return facts([
    [t('peers.id'), el('code.long', {}, node.peer_id)],
    [t('peers.reach'), el('span', { lang: 'en' }, node.reachability)],
    node.reachability_reasons?.length > 0 && [
      t('peers.because'),
      el(
        'ul.plain',
        {},
        node.reachability_reasons.map((reason) => el('li', { lang: 'en' }, stranger(reason, 500))),
      ),
    ],
    node.reachability_advice?.length > 0 && [
      t('peers.advice'),
      el(
        'ul.plain',
        {},
        node.reachability_advice.map((line) => el('li', { lang: 'en' }, line)),
      ),
    ],
    [
      t('peers.addresses'),
      el(
        'ul.plain',
        {},
        all.map((address) => el('li', {}, el('code.long', {}, address))),
      ),
    ],
    node.notices?.length > 0 && [
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
  const apart = el('div.apart');
  const self = el('div');
  main.append(
    el('h1', { tabindex: -1 }, t('nav.peers')),
    el('p.lead', {}, t('peers.lead')),
    el(
      'div.columns',
      {},
      el('section.card', {}, el('h2', {}, t('network.title')), picture, el('p.note', {}, t('network.legend'))),
      el(
        'div.stack',
        {},
        register(),
        el('section.card', {}, el('h2', {}, t('peers.own')), self),
      ),
    ),
    el('section.card', {}, el('h2', {}, t('peers.title')), list, trouble, apart),
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
    show(apart, [state.bans, state.departed], () => el('div', {}, others(trouble)));
    if (state.node !== null) show(self, { ...state.node, uptime_ms: 0 }, own);
  };
  update();
  return listen(update);
}
