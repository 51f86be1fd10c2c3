// The newest part of the tree of blocks, drawn: the chain in one line, branches beside it, and who is at which block.

import { el, shortHash, show, svg } from './dom.js';
import { state } from './live.js';
import { t } from './text.js';

// How blocks are drawn where there is room for several side by side, and how on a phone: there the newest is above, and branches
// lie to the right. `between` is the room from one block to the next, `lane` the way from one branch to the next.
const ACROSS = { width: 104, height: 52, between: 34, lane: 92, margin: 30, isDown: false };
const DOWN = { width: 144, height: 80, between: 24, lane: 158, margin: 2, isDown: true };
// As wide as that the blocks are side by side, in units of the drawing.
const WIDE = 480;
// The chain and the branches that are drawn; those of more lanes are told of in words alone.
const LANES = 5;
// Heights that are drawn at least: where there is no room for so many, the drawing scrolls. How many are drawn one below the
// other, and how many of them are the newest.
const COLUMNS = 5;
const ROWS = 6;
const NEWEST = 2;
// A drawing that is a little too wide is drawn smaller instead, down to this part of its size; below that it scrolls.
const SMALLEST = 0.9;
// About the width of a page's scroll bar, in px.
const BAR = 16;
// Room below a block for who has it as the last one, a line each, in units of the drawing.
const WHO = 15;
// How wide a letter is about, where it is said how many blocks are left out.
const LETTER = 7;
// Forks that are told of.
const TOLD = 3;

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

// Who has a block as the last one, a line each.
function whoIsAt(hash) {
  const who = state.status?.tip === hash ? [t('tree.me')] : [];
  const n = state.peers.filter((peer) => peer.tip === hash).length;
  if (n > 0) who.push((who.length > 0 ? '+ ' : '') + t('tree.peers', { n }));
  return who;
}

function box(block, { x, y }, shape, isNew) {
  const where = whoIsAt(block.hash);
  const kind = block.active ? 'active' : block.verdict === 'invalid' ? 'invalid' : 'stale';
  const name = [t('tree.block', { height: block.height, hash: shortHash(block.hash) }), t(`tree.${kind}`), where.join(' ')]
    .filter(Boolean)
    .join(', ');
  const middle = x + shape.width / 2;
  // One below the other, who has a block stands in its box; the less of that there is, the lower the rest.
  const lower = shape.isDown ? 10 - 6 * where.length : 0;
  const whoAt = shape.isDown ? y + 58 + lower : y + shape.height + WHO + 3;
  return svg(
    'a',
    { href: `#/block/${block.hash}`, class: `block ${kind}${isNew ? ' new' : ''}`, 'aria-label': name, 'data-key': block.hash },
    svg('title', {}, name),
    svg('rect', { x, y, width: shape.width, height: shape.height, rx: 8 }),
    svg('text', { x: middle, y: y + 22 + lower, class: 'height' }, String(block.height)),
    svg('text', { x: middle, y: y + 41 + lower, class: 'hash' }, `${kind === 'invalid' ? '✕ ' : ''}${shortHash(block.hash)}`),
    where.map((line, i) => svg('text', { x: middle, y: whoAt + WHO * i, class: 'who' }, line)),
  );
}

// The heights that are drawn, the lowest first: the newest, those around forks, and more of the newest where there is room; `most` is how many
// are drawn rather than leaving out one alone.
function columns(top, room, most) {
  const all = new Set();
  for (let i = 0; i < Math.min(NEWEST, room) && i <= top; i += 1) all.add(top - i);
  const stale = state.forks
    .filter((block) => !block.active)
    .map((block) => block.height)
    .reverse();
  for (const height of stale) {
    const fresh = [height, height - 1].filter((one) => !all.has(one));
    if (all.size + fresh.length <= room) fresh.forEach((one) => all.add(one));
  }
  for (let height = top; height >= 0 && all.size < room; height -= 1) all.add(height);
  // Where one alone would be left out, it is drawn: to say so takes nearly its room.
  for (const height of [...all]) if (all.size < most && !all.has(height + 1) && all.has(height + 2)) all.add(height + 1);
  return [...all].sort((one, other) => one - other);
}

// Where each height is drawn along the chain, the gaps between heights that do not follow each other, and how long it all is.
function places(heights, shape) {
  const size = shape.isDown ? shape.height : shape.width;
  const at = new Map();
  const gaps = [];
  // One below the other, the lowest has an arrow to what is not drawn.
  let along = shape.margin + (shape.isDown && heights[0] > 0 ? shape.between : 0);
  heights.forEach((height, i) => {
    const n = i === 0 ? 0 : height - heights[i - 1] - 1;
    if (n > 0) {
      const text = t('tree.gap', { n });
      const wide = shape.isDown ? 22 : Math.max(0, LETTER * text.length + 16 - shape.between);
      gaps.push({ text, from: along - shape.between, to: along + wide });
      along += wide;
    }
    at.set(height, along);
    along += size + shape.between;
  });
  return { at, gaps, length: along - shape.between + shape.margin };
}

// A line from a block to the one before, which ends in an arrow.
function link(kind, from, to, isDown) {
  const [x, y] = from;
  const [x1, y1] = to;
  const middle = isDown ? (y + y1) / 2 : (x + x1) / 2;
  const bend = isDown ? `${x} ${middle} ${x1} ${middle}` : `${middle} ${y} ${middle} ${y1}`;
  return svg('path', { class: kind, d: `M${x} ${y} C${bend} ${x1} ${y1}`, 'marker-end': 'url(#back)' });
}

function marker() {
  return svg(
    'defs',
    {},
    svg(
      'marker',
      { id: 'back', viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' },
      svg('path', { d: 'M0 0L8 4L0 8z', class: 'tip' }),
    ),
  );
}

function draw(width, seen) {
  // As large as the text around it.
  const scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const shape = width / scale < WIDE ? DOWN : ACROSS;
  const { isDown } = shape;
  const top = Math.max(0, ...state.forks.map((block) => block.height));
  const room = Math.floor((width / scale - 2 * ACROSS.margin - LETTER * 8) / (ACROSS.width + ACROSS.between));
  const most = Math.floor((width / scale / SMALLEST - 2 * ACROSS.margin + ACROSS.between) / (ACROSS.width + ACROSS.between));
  const heights = isDown ? columns(top, ROWS, ROWS) : columns(top, Math.max(COLUMNS, room), most);
  const { at, gaps, length } = places(heights, shape);
  const { lane, byHash } = lanes(state.forks);
  const shown = state.forks.filter((block) => at.has(block.height) && lane.get(block.hash) < LANES);
  const across = Math.max(0, ...shown.map((block) => lane.get(block.hash)));
  // From a place along the chain and a lane to the corner of a box, and to the ends of its links.
  const place = (block) => {
    const [along, side] = [at.get(block.height), lane.get(block.hash) * shape.lane];
    return isDown ? { x: shape.margin + side, y: length - along - shape.height } : { x: along, y: 4 + side };
  };
  const back = ({ x, y }) => (isDown ? [x + shape.width / 2, y + shape.height] : [x, y + shape.height / 2]);
  const front = ({ x, y }) => (isDown ? [x + shape.width / 2, y - 3] : [x + shape.width + 3, y + shape.height / 2]);
  const along = (from, to, side) =>
    isDown ? [shape.margin + side + shape.width / 2, length - from - to] : [from + to, 4 + side + shape.height / 2];
  const links = shown
    .filter((block) => block.height > 0)
    .map((block) => {
      const parent = byHash.get(block.previous_hash);
      const gap = gaps.find(({ to }) => to === at.get(block.height));
      const kind = `link${block.active ? '' : ' stale'}${gap ? ' far' : ''}`;
      // A link to what is not drawn leads over the gap, or out of the drawing.
      const to = shown.includes(parent)
        ? front(place(parent))
        : along(gap ? gap.from : at.get(block.height) - shape.between, 3, lane.get(block.hash) * shape.lane);
      return link(kind, back(place(block)), to, isDown);
    });
  const texts = gaps.map(({ text, from, to }) => {
    const [x, y] = along((from + to) / 2, 0, 0);
    return svg('text', isDown ? { class: 'gap beside', x: x + 12, y: y + 4 } : { class: 'gap', x, y: y - 8 }, text);
  });
  const boxes = shown.map((block) => box(block, place(block), shape, seen !== null && !seen.has(block.hash)));
  const wide = isDown ? 2 * shape.margin + across * shape.lane + shape.width : length;
  const isTold = shown.some((block) => lane.get(block.hash) === across && whoIsAt(block.hash).length > 0);
  const tall = isDown ? length : 4 + across * shape.lane + shape.height + (isTold ? 2 * WHO + 8 : 4);
  // The same whether the page has a scroll bar or not: else one drawing could make it come, and the next one go.
  const sure = width - BAR + innerWidth - document.documentElement.clientWidth;
  const fits = isDown ? 1 : Math.min(1, Math.max(SMALLEST, sure / (wide * scale)));
  return svg(
    'svg',
    { class: isDown ? 'tree down' : 'tree', width: wide * scale * fits, height: tall * scale * fits, viewBox: `0 0 ${wide} ${tall}`, role: 'presentation' },
    marker(),
    links,
    texts,
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
    if (atEnd && picture.querySelector('.down') === null) picture.scrollLeft = picture.scrollWidth;
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
