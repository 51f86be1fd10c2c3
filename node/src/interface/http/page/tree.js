// The newest part of the tree of blocks, drawn: the chain in one line, branches beside it, and who is at which block.

import { el, shortHash, show, svg } from './dom.js';
import { state } from './live.js';
import { t } from './text.js';

const BOX = { width: 104, height: 52, across: 34, down: 40, top: 4 };
// The chain and the branches that are drawn; those of more lanes are told of in words alone.
const LANES = 5;
// Heights that are drawn at least: where there is no room for so many, the drawing scrolls. And how many of them are the newest.
const COLUMNS = 5;
const NEWEST = 3;
// How wide the place of heights is that are left out.
const GAP = 64;
// Forks that are told of.
const TOLD = 3;
// Room beside the first and the last block, for what stands below them.
const MARGIN = 30;

// Blocks with the lane that each is drawn in: 0 for the chain, the others beside it, a branch in one line as far as it can be.
function lanes(blocks) {
  const taken = new Set();
  const lane = new Map();
  const byHash = new Map(blocks.map((block) => [block.hash, block]));
  for (const block of blocks) {
    if (block.active) {
      lane.set(block.hash, 0);
      continue;
    }
    const parent = byHash.get(block.previous_hash);
    let wanted = parent && !parent.active ? lane.get(parent.hash) : 1;
    while (taken.has(`${wanted}:${block.height}`)) wanted += 1;
    taken.add(`${wanted}:${block.height}`);
    lane.set(block.hash, wanted);
  }
  return { lane, byHash };
}

function whoIsAt(hash) {
  const who = state.status?.tip === hash ? [t('tree.me')] : [];
  const n = state.peers.filter((peer) => peer.tip === hash).length;
  if (n > 0) who.push(t('tree.peers', { n }));
  return who.join(' + ');
}

function box(block, x, y, isNew) {
  const where = whoIsAt(block.hash);
  const kind = block.active ? 'active' : block.verdict === 'invalid' ? 'invalid' : 'stale';
  const name = [t('tree.block', { height: block.height, hash: shortHash(block.hash) }), t(`tree.${kind}`), where]
    .filter(Boolean)
    .join(', ');
  return svg(
    'a',
    { href: `#/block/${block.hash}`, class: `block ${kind}${isNew ? ' new' : ''}`, 'aria-label': name, 'data-key': block.hash },
    svg('title', {}, name),
    svg('rect', { x, y, width: BOX.width, height: BOX.height, rx: 8 }),
    svg('text', { x: x + BOX.width / 2, y: y + 22, class: 'height' }, String(block.height)),
    svg('text', { x: x + BOX.width / 2, y: y + 41, class: 'hash' }, `${kind === 'invalid' ? '✕ ' : ''}${shortHash(block.hash)}`),
    where && svg('text', { x: x + BOX.width / 2, y: y + BOX.height + 20, class: 'who' }, where),
  );
}

// The heights that are drawn, the lowest first: the newest, those around forks, and more of the newest where there is room.
function columns(top, room) {
  const all = new Set();
  for (let i = 0; i < Math.min(NEWEST, room) && i <= top; i += 1) all.add(top - i);
  const stale = state.forks
    .filter((block) => !block.active)
    .map((block) => block.height)
    .reverse();
  for (const height of stale) if (all.size + 2 <= room) all.add(height).add(height - 1);
  for (let height = top; height >= 0 && all.size < room; height -= 1) all.add(height);
  return [...all].sort((one, other) => one - other);
}

// Where each height is drawn, and the gaps between heights that do not follow each other.
function places(heights) {
  const at = new Map();
  const gaps = [];
  let x = MARGIN;
  heights.forEach((height, i) => {
    const n = i === 0 ? 0 : height - heights[i - 1] - 1;
    if (n > 0) {
      gaps.push({ n, x: x + GAP / 2 - BOX.across });
      x += GAP;
    }
    at.set(height, x);
    x += BOX.width + BOX.across;
  });
  return { at, gaps, width: x - BOX.across + MARGIN };
}

function draw(width, seen) {
  // As large as the text around it.
  const scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const top = Math.max(0, ...state.forks.map((block) => block.height));
  const room = Math.floor((width / scale - 2 * MARGIN - GAP) / (BOX.width + BOX.across));
  const { at, gaps, width: across } = places(columns(top, Math.max(COLUMNS, room)));
  const { lane, byHash } = lanes(state.forks);
  const shown = state.forks.filter((block) => at.has(block.height) && lane.get(block.hash) < LANES);
  const place = (block) => ({ x: at.get(block.height), y: BOX.top + lane.get(block.hash) * (BOX.height + BOX.down) });
  const links = shown
    .filter((block) => block.height > 0)
    .map((block) => {
      const { x, y } = place(block);
      const parent = byHash.get(block.previous_hash);
      // A link to what is not drawn ends in the gap.
      const from = parent && shown.includes(parent) ? place(parent) : { x: x - BOX.width - BOX.across, y };
      const [x1, y1, y2] = [from.x + BOX.width, from.y + BOX.height / 2, y + BOX.height / 2];
      const bend = (x1 + x) / 2;
      return svg('path', {
        class: block.active ? 'link' : 'link stale',
        d: `M${x} ${y2} C${bend} ${y2} ${bend} ${y1} ${x1 + 3} ${y1}`,
        'marker-end': 'url(#back)',
      });
    });
  const boxes = shown.map((block) => box(block, place(block).x, place(block).y, seen !== null && !seen.has(block.hash)));
  const rows = 1 + Math.max(0, ...shown.map((block) => lane.get(block.hash)));
  const height = BOX.top + rows * (BOX.height + BOX.down) - 10;
  return svg(
    'svg',
    { class: 'tree', width: across * scale, height: height * scale, viewBox: `0 0 ${across} ${height}`, role: 'presentation' },
    svg(
      'defs',
      {},
      svg(
        'marker',
        { id: 'back', viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' },
        svg('path', { d: 'M0 0L8 4L0 8z', class: 'tip' }),
      ),
    ),
    links,
    gaps.map(({ n, x }) => svg('text', { class: 'gap', x, y: BOX.top + BOX.height / 2 + 5 }, t('tree.gap', { n }))),
    boxes,
  );
}

// Branches beside the chain, by the block of the chain that they begin at, the newest first: where, how many blocks, how it stands.
function branches() {
  const byHash = new Map(state.forks.map((block) => [block.hash, block]));
  const work = BigInt(state.status?.total_work ?? 0);
  const all = new Map();
  // By height, so that a block comes after the one that it was built on.
  for (const block of state.forks.filter((one) => !one.active)) {
    const parent = byHash.get(block.previous_hash);
    const branch =
      parent === undefined || parent.active
        ? (all.get(block.previous_hash) ?? { height: block.height - 1, blocks: [] })
        : [...all.values()].find((one) => one.blocks.includes(parent));
    branch.blocks.push(block);
    if (parent === undefined || parent.active) all.set(block.previous_hash, branch);
  }
  return [...all.values()].reverse().map(({ height, blocks }) => ({
    height,
    n: blocks.length,
    verdict: blocks.some((block) => block.verdict === 'invalid')
      ? 'broken'
      : blocks.some((block) => BigInt(block.total_work) >= work)
        ? 'tie'
        : 'less',
  }));
}

// What the tree shows, in sentences.
function sentences() {
  const all = branches()
    .slice(0, TOLD)
    .map(({ height, n, verdict }) => el('li', {}, t('tree.fork', { n, height }), ' ', t(`tree.${verdict}`)));
  if (all.length === 0) all.push(el('li', {}, t('tree.straight', { n: state.forks.length })));
  const lost = state.peers.filter((peer) => peer.tip && !state.forks.some((block) => block.hash === peer.tip)).length;
  if (lost > 0) all.push(el('li', {}, t('tree.elsewhere', { n: lost })));
  const { reorg } = state;
  if (reorg?.outcome === 'adopted' && reorg.fork_height >= (state.forks[0]?.height ?? 0)) {
    const { disconnected, connected, fork_height: height } = reorg;
    all.unshift(
      el(
        'li.reorg',
        {},
        el('strong', {}, t('tree.reorg')),
        ' ',
        t('tree.left', { n: disconnected, height }),
        ' ',
        t('tree.joined', { n: connected }),
      ),
    );
  } else if (reorg?.outcome === 'refused') {
    all.unshift(el('li.reorg', {}, t('tree.refused', { reason: reorg.reason })));
  }
  return el('ul.told', {}, all);
}

// The drawing and its sentences; `update` draws what is known now.
export function treeView() {
  const picture = el('div.picture', { tabindex: 0, role: 'region', 'aria-label': t('tree.label') });
  const told = el('div', { 'aria-live': 'polite' });
  const root = el('div.tree-view', {}, picture, told);
  let seen = null;
  const update = () => {
    const width = picture.clientWidth;
    if (width === 0 || state.forks.length === 0) return;
    const atEnd = picture.scrollLeft + picture.clientWidth >= picture.scrollWidth - 40;
    const tips = state.peers.map((peer) => peer.tip).sort();
    show(picture, [width, state.status?.tip, tips, state.forks.map((block) => [block.hash, block.active, block.verdict])], () =>
      draw(width, seen),
    );
    // The newest are in sight, unless somebody looks at older ones.
    if (atEnd) picture.scrollLeft = picture.scrollWidth;
    seen = new Set(state.forks.map((block) => block.hash));
    const lost = tips.filter((tip) => tip && !state.forks.some((block) => block.hash === tip)).length;
    show(
      told,
      [branches(), state.forks.length, lost, state.reorg, state.forks[0]?.height > (state.reorg?.fork_height ?? 0)],
      sentences,
    );
  };
  const observer = new ResizeObserver(update);
  observer.observe(picture);
  return { root, update, stop: () => observer.disconnect() };
}
