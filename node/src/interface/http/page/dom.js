// Elements, made from text alone: nothing here or elsewhere in the page turns a text into markup.

const SVG = 'http://www.w3.org/2000/svg';

// How much of a text that strangers wrote is shown in a line, in characters.
const SHOWN = 200;

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// An element: `el('p.note', {id: 'x', click: go}, 'text', child)`.
export function el(kind, attributes, ...children) {
  const [name, ...classes] = kind.split('.');
  const node = document.createElement(name);
  if (classes.length > 0) node.className = classes.join(' ');
  return fill(node, attributes, children);
}

// An element of a drawing.
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

// A text that strangers wrote: its direction disturbs nothing around it, control characters are seen, long texts are cut.
export function stranger(text, limit = SHOWN) {
  const all = [...String(text)];
  const shown = all
    .slice(0, limit)
    .map((one) => (/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(one) ? '\ufffd' : one));
  return el('bdi', {}, shown.join('') + (all.length > limit ? '...' : ''));
}

// Shows something else in a node, if it differs from what is shown. The element that has the focus keeps it, by its
// `data-key`.
export function show(node, sign, build) {
  const key = JSON.stringify(sign);
  if (node.dataset.sign === key) return;
  node.dataset.sign = key;
  const active = node.contains(document.activeElement) ? document.activeElement : null;
  const focused = active?.closest('[data-key]')?.getAttribute('data-key');
  node.replaceChildren(...[build()].flat(Infinity).filter(Boolean));
  if (focused) node.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

// The end of a hash: its beginning is zeros in every block.
export function shortHash(hash) {
  return `…${hash.slice(-8)}`;
}

export function shortPeer(peer) {
  return `…${peer.slice(-6)}`;
}

export function shortAddress(address) {
  return `${address.slice(0, 8)}…${address.slice(-4)}`;
}

// A link within the page.
export function link(parts, ...children) {
  return el('a', { href: `#/${parts.map(encodeURIComponent).join('/')}` }, ...children);
}

export function blockLink(hash, text) {
  return el('a', { href: `#/block/${hash}`, title: hash }, text ?? el('code', {}, shortHash(hash)));
}

export function transactionLink(id) {
  return el('a', { href: `#/tx/${id}`, title: id }, el('code', {}, shortHash(id)));
}

// A list of names and values.
export function facts(pairs, kind = 'dl.facts') {
  return el(
    kind,
    {},
    pairs.filter(Boolean).map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value))),
  );
}

// A table of more columns is one of lists already on a screen that is not very wide.
const WIDE = 6;

// A table. On a narrow screen its rows are lists (see the style), so it says itself what it is, and each cell what it is of. There
// the cell at `first` goes before the others and needs no name.
export function table(caption, heads, rows, first = -1) {
  const kinds = [heads.length > WIDE && 'wide', heads.length < 3 && 'narrow', first >= 0 && 'led'].filter(Boolean);
  return el(
    'div.scroll',
    { tabindex: 0, role: 'region', 'aria-label': caption },
    el(
      ['table', ...kinds].join('.'),
      { role: 'table' },
      el('caption.hidden', {}, caption),
      el(
        'thead',
        { role: 'rowgroup' },
        el(
          'tr',
          { role: 'row' },
          heads.map((head) => el('th', { scope: 'col', role: 'columnheader' }, head)),
        ),
      ),
      el(
        'tbody',
        { role: 'rowgroup' },
        rows.map((row) =>
          el(
            'tr',
            { role: 'row' },
            row.map((cell, i) => el(i === first ? 'td.first' : 'td', { role: 'cell', 'data-label': heads[i] }, el('div', {}, cell))),
          ),
        ),
      ),
    ),
  );
}
