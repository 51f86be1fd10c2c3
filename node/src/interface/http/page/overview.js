// What this chain is, whether this node agrees with its peers, and what happens.

import { blockLink, el, facts, shortHash, show } from './dom.js';
import { listen, state } from './live.js';
import { drawNetwork } from './network.js';
import { ago, big, number, rate, rich, t } from './text.js';
import { treeView } from './tree.js';
import { news } from './words.js';

// Pieces of news that are shown.
const NEWS = 8;

function verdict({ status }) {
  if (state.alive === false) return ['gone', t('agree.gone')];
  if (status.sync.syncing) return ['busy', t('agree.syncing', { height: status.height, target: status.sync.target_height })];
  if (status.peers === 0) return ['alone', t('agree.alone')];
  if (status.agreeing_peers === status.peers) return ['yes', t('agree.all', { n: status.peers })];
  return ['some', t('agree.some', { n: status.agreeing_peers, all: status.peers })];
}

const MARKS = { gone: '✕', busy: '…', alone: '1', yes: '✓', some: '≠' };

// How much this node noticed that only a person can mend.
function noticed() {
  return state.node?.notices?.length ?? 0;
}

function agreement() {
  const { status } = state;
  const [kind, text] = verdict(state);
  return [
    el(`span.mark.${kind}`, { 'aria-hidden': 'true' }, MARKS[kind]),
    el(
      'div',
      {},
      el('p.verdict', {}, text),
      el(
        'p.note',
        {},
        rich(kind === 'yes' ? 'agree.same' : 'agree.own', {
          tip: blockLink(status.tip),
          state: el('code', { title: status.state_root }, shortHash(status.state_root)),
        }),
      ),
      status.blocks_from > 1 && el('p.note', {}, t('agree.from', { from: number(status.blocks_from) })),
      noticed() > 0 &&
        el('p.bad', {}, rich('agree.noticed', { n: noticed(), peers: el('a', { href: '#/peers' }, t('nav.peers')) })),
    ),
  ];
}

function tiles() {
  const { status } = state;
  const tile = (key, value, note) => [t(`tile.${key}`), [el('span.value', {}, value), note && el('span.note', {}, note)]];
  const seconds = number(status.target_interval_ms / 1000);
  return facts(
    [
      tile('height', number(status.height), ago(status.tip_time)),
      tile('difficulty', big(status.difficulty), t('tile.tries', { seconds })),
      tile(
        'rate',
        rate(status.hash_rate),
        t(status.mining.enabled ? 'tile.mining' : 'tile.resting', { n: status.mining.threads }),
      ),
      tile('pool', number(status.pool.transactions), t('tile.waiting', { n: status.pool.transactions })),
      tile('peers', number(status.peers), t('tile.agreeing', { n: status.agreeing_peers })),
      tile(
        'sync',
        status.sync.syncing
          ? `${number(Math.floor((100 * status.height) / Math.max(1, status.sync.target_height)))} %`
          : t('tile.synced'),
        status.sync.syncing &&
          el('progress', { max: status.sync.target_height, value: status.height, 'aria-label': t('tile.sync') }),
      ),
    ],
    'dl.tiles',
  );
}

export function showView(main) {
  const title = el('h1', { tabindex: -1 }, t('overview.title', { chain: state.status?.chain ?? '' }));
  const agree = el('section.card.agree', { role: 'status', 'aria-label': t('agree.title') });
  const numbers = el('section.numbers', { 'aria-label': t('overview.numbers') });
  const tree = treeView();
  const network = el('div');
  const list = el('ol.news');
  main.append(
    title,
    el(
      'p.lead',
      {},
      rich('overview.lead', { do: el('a', { href: '#/do' }, t('nav.do')), words: el('a', { href: '#/words' }, t('nav.words')) }),
    ),
    agree,
    numbers,
    el('section.card.growing', {}, el('h2', {}, t('tree.title')), tree.root, el('p.note', {}, t('tree.legend'))),
    el(
      'div.side',
      {},
      el('section.card', {}, el('h2', {}, t('network.title')), network, el('p.note', {}, t('network.legend'))),
      el('section.card', {}, el('h2', {}, t('news.title')), el('div', { role: 'log', 'aria-label': t('news.title') }, list)),
    ),
  );
  const update = () => {
    if (state.status === null) return;
    const { status } = state;
    title.textContent = t('overview.title', { chain: status.chain });
    show(agree, [state.alive, status.sync, status.peers, status.agreeing_peers, status.tip, noticed()], agreement);
    show(
      numbers,
      [
        status.height,
        status.tip,
        status.difficulty,
        status.hash_rate,
        status.mining.enabled,
        status.mining.threads,
        status.pool,
        status.peers,
        status.agreeing_peers,
        status.sync,
      ],
      tiles,
    );
    tree.update();
    drawNetwork(network);
    show(list, [state.news.length, state.news[0]?.at, state.keys.length], () =>
      state.news.length === 0 ? el('li', {}, t('news.none')) : state.news.slice(0, NEWS).map(news),
    );
  };
  update();
  const stop = listen(update);
  return () => {
    stop();
    tree.stop();
  };
}
