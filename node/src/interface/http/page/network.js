// The neighbourhood of this node, drawn: its peers around it, and who of them is at the same block.

import { shortPeer, show, svg } from './dom.js';
import { state } from './live.js';
import { t } from './text.js';

// Peers that are drawn; the list has all.
const DRAWN = 16;
// Room around the outermost, and how many units of the drawing are as wide as a letter is high.
const ROOM = 52;
const UNITS = 14;

// How a peer's chain relates to this node's: `same`, `behind`, `ahead`, `other` or `unknown`.
export function agreement(peer) {
  if (peer.tip === null || state.status === null) return 'unknown';
  if (peer.tip === state.status.tip) return 'same';
  if (peer.height < state.status.height) return 'behind';
  return peer.height > state.status.height ? 'ahead' : 'other';
}

export const SIGNS = { same: '=', behind: '<', ahead: '>', other: '≠', unknown: '?' };

function draw() {
  const drawn = state.peers.slice(0, DRAWN);
  // This node is at the origin.
  const around = drawn.map((peer, i) => {
    const angle = (2 * Math.PI * i) / drawn.length - (drawn.length > 2 ? Math.PI / 2 : 0);
    return { peer, kind: agreement(peer), x: 150 * Math.cos(angle), y: 122 * Math.sin(angle) };
  });
  const [xs, ys] = ['x', 'y'].map((axis) => [0, ...around.map((one) => one[axis])]);
  const [left, top] = [xs, ys].map((all) => Math.min(...all) - ROOM);
  const [width, height] = [Math.max(...xs) + ROOM - left, Math.max(...ys) + ROOM - top];
  return svg(
    'svg',
    {
      class: 'network',
      width: `${width / UNITS}rem`,
      viewBox: `${left} ${top} ${width} ${height}`,
      role: 'img',
      'aria-label': t('network.label', { n: state.peers.length, same: around.filter((one) => one.kind === 'same').length }),
    },
    around.map(({ kind, x, y }) => svg('line', { class: kind, x1: 0, y1: 0, x2: x, y2: y })),
    svg('circle', { class: 'me', cx: 0, cy: 0, r: 50 }),
    svg('text', { class: 'me', x: 0, y: -3 }, t('network.me')),
    svg('text', { class: 'me small', x: 0, y: 16 }, String(state.status?.height ?? '')),
    around.map(({ peer, kind, x, y }) => [
      svg('circle', { class: kind, cx: x, cy: y, r: 38 }),
      svg('text', { class: 'small', x, y: y - 4 }, shortPeer(peer.peer_id).slice(1)),
      svg('text', { class: 'small', x, y: y + 13 }, `${SIGNS[kind]} ${peer.height ?? ''}`),
    ]),
  );
}

// Draws what is known now into a node.
export function drawNetwork(node) {
  show(node, [state.status?.height, state.peers.map((peer) => [peer.peer_id, agreement(peer), peer.height])], draw);
}
