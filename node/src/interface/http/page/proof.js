// The way from a transaction to the root in its block's header, drawn, and walked anew in the browser.

import { blockLink, el, shortHash, svg } from './dom.js';
import { explain, get } from './api.js';
import { fromHex, hex } from './hash.js';
import { number, rich, t } from './text.js';
import { climb } from './verify.js';

const BOX = { width: 132, height: 40, across: 28, down: 34 };

function box(x, y, kind, above, hash) {
  return svg(
    'g',
    { class: kind },
    svg('title', {}, hash),
    svg('rect', { x, y, width: BOX.width, height: BOX.height, rx: 8 }),
    svg('text', { x: x + BOX.width / 2, y: y + 16, class: 'what' }, above),
    svg('text', { x: x + BOX.width / 2, y: y + 32, class: 'hash' }, shortHash(hash)),
  );
}

// The root above, the transaction below; at each step what is hashed together side by side.
function draw(steps, root, holds) {
  const width = 2 * BOX.width + BOX.across;
  const height = (steps.length + 1) * BOX.height + steps.length * BOX.down;
  const slot = (isRight) => (isRight ? BOX.width + BOX.across : 0);
  const middle = (width - BOX.width) / 2;
  const parts = [];
  steps.forEach((step, i) => {
    const y = height - BOX.height - i * (BOX.height + BOX.down);
    const above = i + 1 < steps.length ? slot(steps[i + 1].isRight) : middle;
    const to = `${above + BOX.width / 2} ${y - BOX.down + 2}`;
    for (const isRight of [false, true]) {
      const x = slot(isRight) + BOX.width / 2;
      const kind = isRight === step.isRight ? 'way' : 'beside';
      parts.push(svg('path', { class: kind, d: `M${x} ${y} C${x} ${y - BOX.down / 2} ${above + BOX.width / 2} ${y - BOX.down / 2} ${to}` }));
    }
    parts.push(box(slot(step.isRight), y, 'way', i === 0 ? t('proof.leaf') : t('proof.given', { n: i }), hex(step.hash)));
    parts.push(box(slot(!step.isRight), y, 'beside', t('proof.beside'), hex(step.beside)));
  });
  parts.push(box(middle, 0, holds ? 'root' : 'root wrong', t('proof.root'), root));
  return svg(
    'svg',
    {
      class: 'proof',
      viewBox: `-2 -2 ${width + 4} ${height + 4}`,
      width: `${(width + 4) / 16}rem`,
      role: 'img',
      'aria-label': t('proof.label', { n: steps.length }),
    },
    parts,
  );
}

function found(proof) {
  const way = climb(fromHex(proof.id), proof.index, proof.size, proof.path.map(fromHex));
  const root = way === null ? null : hex(way.root);
  const said = proof.header.transactions_root;
  const holds = root === said;
  return el(
    'div.proved',
    {},
    el(
      'div',
      {},
      el(holds ? 'p.good.verdict' : 'p.bad.verdict', {}, holds ? '✓ ' : '✕ ', t(holds ? 'proof.holds' : 'proof.breaks')),
      el(
        'p',
        {},
        rich('proof.text', {
          n: proof.path.length,
          place: number(proof.index + 1),
          all: number(proof.size),
          block: blockLink(proof.header.hash, String(proof.header.height)),
        }),
      ),
      el('p.note', {}, t('proof.why')),
    ),
    el('div.scroll', { tabindex: 0, role: 'region', 'aria-label': t('proof.title') }, draw(way?.steps ?? [], said, holds)),
  );
}

// A button that fetches the proof of a transaction and shows it below.
export function proofOf(id) {
  const output = el('div', { role: 'status' });
  const button = el('button.plain', { type: 'button', 'data-proof': true }, t('proof.show'));
  button.addEventListener('click', async () => {
    try {
      output.replaceChildren(found(await get(`/api/v1/transactions/${id}/proof`)));
    } catch (error) {
      output.replaceChildren(explain(error));
    }
  });
  return { button, output };
}
