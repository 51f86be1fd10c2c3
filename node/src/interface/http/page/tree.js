// The newest part of the tree of blocks, drawn: the chain in one line, branches beside it, and who is at which block.

import { el, shortHash, show, svg } from './dom.js';
import { state } from './live.js';
import { t } from './text.js';

const BOX = { width: 104, height: 52, across: 34, down: 40, top: 4 };
// The chain and the branches that are drawn; those of more lanes are told of in words alone.
const LANES = 5;
// Heights that are drawn at least: where there is no room for so many, the drawing scrolls.
const COLUMNS = 20;
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
  const name = [t('tree.block', { height: block.height, hash: shortHash(block.hash) }), t(`tree.${kind}`), where].filter(Boolean).join(', ');
  return svg('a', { href: `#/block/${block.hash}`, class: `block ${kind}${isNew ? ' new' : ''}`, 'aria-label': name, 'data-key': block.hash },
    svg('title', {}, name),
    svg('rect', { x, y, width: BOX.width, height: BOX.height, rx: 8 }),
    svg('text', { x: x + BOX.width / 2, y: y + 22, class: 'height' }, String(block.height)),
    svg('text', { x: x + BOX.width / 2, y: y + 41, class: 'hash' }, `${kind === 'invalid' ? '✕ ' : ''}${shortHash(block.hash)}`),
    where && svg('text', { x: x + BOX.width / 2, y: y + BOX.height + 20, class: 'who' }, where));
}

function draw(width, seen) {
  const step = BOX.width + BOX.across;
  // As large as the text around it.
  const scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16;
  const top = Math.max(0, ...state.forks.map((block) => block.height));
  const room = Math.floor((width / scale + BOX.across - 2 * MARGIN) / step);
  const columns = Math.min(top + 1, Math.max(COLUMNS, room));
  const first = Math.max(0, top - columns + 1);
  const { lane, byHash } = lanes(state.forks.filter((block) => block.height >= first - 8));
  const shown = state.forks.filter((block) => block.height >= first && (lane.get(block.hash) ?? LANES) < LANES);
  const place = (block) => ({ x: MARGIN + (block.height - first) * step, y: BOX.top + lane.get(block.hash) * (BOX.height + BOX.down) });
  const links = shown.filter((block) => block.height > 0).map((block) => {
    const { x, y } = place(block);
    const parent = byHash.get(block.previous_hash);
    const isShown = parent && parent.height >= first;
    const from = isShown ? place(parent) : { x: x - step, y };
    const [x1, y1] = [from.x + BOX.width, from.y + BOX.height / 2];
    const [x2, y2] = [x, y + BOX.height / 2];
    const bend = (x1 + x2) / 2;
    return svg('path', { class: block.active ? 'link' : 'link stale', d: `M${x2} ${y2} C${bend} ${y2} ${bend} ${y1} ${Math.max(x1 + 3, 0)} ${y1}`, 'marker-end': 'url(#back)' });
  });
  const boxes = shown.map((block) => box(block, place(block).x, place(block).y, seen !== null && !seen.has(block.hash)));
  const rows = 1 + Math.max(0, ...shown.map((block) => lane.get(block.hash)));
  const all = { width: 2 * MARGIN + columns * step - BOX.across, height: BOX.top + rows * (BOX.height + BOX.down) - 10 };
  return svg('svg', { class: 'tree', width: all.width * scale, height: all.height * scale, viewBox: `0 0 ${all.width} ${all.height}`, role: 'presentation' },
    svg('defs', {}, svg('marker', { id: 'back', viewBox: '0 0 8 8', refX: 6, refY: 4, markerWidth: 7, markerHeight: 7, orient: 'auto' },
      svg('path', { d: 'M0 0L8 4L0 8z', class: 'tip' }))),
    links, boxes);
}

// What the tree shows, in sentences.
function sentences() {
  const chain = state.forks.filter((block) => block.active);
  const stale = state.forks.filter((block) => !block.active);
  const all = [];
  const byHash = new Map(state.forks.map((block) => [block.hash, block]));
  const work = BigInt(state.status?.total_work ?? chain.at(-1)?.total_work ?? 0);
  for (const rootBlock of stale.filter((block) => byHash.get(block.previous_hash)?.active).slice(-3).reverse()) {
    const branch = [rootBlock];
    for (let grew = true; grew;) {
      const more = stale.filter((block) => !branch.includes(block) && branch.some((one) => one.hash === block.previous_hash));
      branch.push(...more);
      grew = more.length > 0;
    }
    const best = branch.reduce((a, b) => (BigInt(a.total_work) >= BigInt(b.total_work) ? a : b));
    const verdict = branch.some((block) => block.verdict === 'invalid') ? 'broken' : BigInt(best.total_work) === work ? 'tie' : 'less';
    all.push(el('li', {}, t('tree.fork', { n: branch.length, height: rootBlock.height - 1 }), ' ', t(`tree.${verdict}`)));
  }
  if (all.length === 0) all.push(el('li', {}, t('tree.straight', { n: chain.length })));
  const lost = state.peers.filter((peer) => peer.tip && !byHash.has(peer.tip)).length;
  if (lost > 0) all.push(el('li', {}, t('tree.elsewhere', { n: lost })));
  if (state.reorg?.outcome === 'adopted') {
    const { disconnected, connected, fork_height: height } = state.reorg;
    all.unshift(el('li.reorg', {}, el('strong', {}, t('tree.reorg')), ' ', t('tree.left', { n: disconnected, height }), ' ', t('tree.joined', { n: connected })));
  } else if (state.reorg?.outcome === 'refused') {
    all.unshift(el('li.reorg', {}, t('tree.refused', { reason: state.reorg.reason })));
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
    show(picture, [width, state.status?.tip, tips, state.forks.map((block) => [block.hash, block.active, block.verdict])], () => draw(width, seen));
    // The newest are in sight, unless somebody looks at older ones.
    if (atEnd) picture.scrollLeft = picture.scrollWidth;
    seen = new Set(state.forks.map((block) => block.hash));
    show(told, [state.forks.filter((block) => !block.active).map((block) => block.hash), Math.min(state.forks.length, 5), tips, state.reorg, state.status?.tip && state.forks.some((b) => !b.active) && state.status.total_work],
      sentences);
  };
  const observer = new ResizeObserver(update);
  observer.observe(picture);
  return { root, update, stop: () => observer.disconnect() };
}
