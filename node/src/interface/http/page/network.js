// The neighbourhood of this node, drawn: its peers around it, and who of them is at the same block.

import { shortPeer, show, svg } from './dom.js';
import { state } from './live.js';
import { t } from './text.js';

// Peers that are drawn; the list has all.
const DRAWN = 16;
const WIDTH = 440;
// Room above the highest and below the lowest.
const ROOM = 50;

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
  const centre = { x: WIDTH / 2, y: 0 };
  const around = drawn.map((peer, i) => {
    const angle = (2 * Math.PI * i) / drawn.length - (drawn.length > 2 ? Math.PI / 2 : 0);
    return { peer, kind: agreement(peer), x: centre.x + 170 * Math.cos(angle), y: centre.y + 125 * Math.sin(angle) };
  });
  const ys = [0, ...around.map((one) => one.y)];
  const top = Math.min(...ys) - ROOM;
  return svg('svg', { class: 'network', viewBox: `0 ${top} ${WIDTH} ${Math.max(...ys) + ROOM - top}`, role: 'img', 'aria-label': t('network.label', { n: state.peers.length, same: around.filter((one) => one.kind === 'same').length }) },
    around.map(({ kind, x, y }) => svg('line', { class: kind, x1: centre.x, y1: centre.y, x2: x, y2: y })),
    svg('circle', { class: 'me', cx: centre.x, cy: centre.y, r: 44 }),
    svg('text', { class: 'me', x: centre.x, y: centre.y - 2 }, t('network.me')),
    svg('text', { class: 'me small', x: centre.x, y: centre.y + 15 }, String(state.status?.height ?? '')),
    around.map(({ peer, kind, x, y }) => [
      svg('circle', { class: kind, cx: x, cy: y, r: 32 }),
      svg('text', { class: 'small', x, y: y - 3 }, shortPeer(peer.peer_id).slice(1)),
      svg('text', { class: 'small', x, y: y + 12 }, `${SIGNS[kind]} ${peer.height ?? ''}`)]));
}

// Draws what is known now into a node.
export function drawNetwork(node) {
  show(node, [state.status?.height, state.peers.map((peer) => [peer.peer_id, agreement(peer), peer.height])], draw);
}
