// A block's hashes, worked out anew from its bytes, as every node does it. What is not worked out here: signatures, and the root
// over the state, which takes the whole state.

import { blake3, hex, join, sha256 } from './hash.js';

const DOMAIN = 'blockbard 2026 v1 ';
// The fields of a header in their order; the last is not part of what is digested.
const FIELDS = ['version', 'height', 'previous_hash', 'transactions_root', 'state_root', 'timestamp', 'target', 'miner', 'nonce'];

// One item of CBOR: where it ends, its type, and its number. Only what canonical bytes may hold.
function item(bytes, at) {
  if (at >= bytes.length) throw new RangeError('the bytes end too soon');
  const kind = bytes[at] >> 5;
  const short = bytes[at] & 31;
  if (short > 27) throw new RangeError('a length that is not allowed');
  const more = short < 24 ? 0 : 2 ** (short - 24);
  if (at + 1 + more > bytes.length) throw new RangeError('the bytes end too soon');
  let value = BigInt(short < 24 ? short : 0);
  for (let i = 1; i <= more; i += 1) value = (value << 8n) | BigInt(bytes[at + i]);
  return { kind, value, next: at + 1 + more };
}

function skip(bytes, at, depth = 0) {
  const { kind, value, next } = item(bytes, at);
  if (kind === 0 || kind === 1 || kind === 7) return next;
  if (kind === 2 || kind === 3) {
    if (value > BigInt(bytes.length - next)) throw new RangeError('the bytes end too soon');
    return next + Number(value);
  }
  if (kind !== 4 || depth > 8 || value > BigInt(bytes.length)) throw new RangeError('a kind that is not allowed');
  let end = next;
  for (let i = 0n; i < value; i += 1n) end = skip(bytes, end, depth + 1);
  return end;
}

export function list(bytes, at, count) {
  const { kind, value, next } = item(bytes, at);
  if (kind !== 4 || (count !== undefined && value !== BigInt(count))) throw new RangeError('not the list that was expected');
  const parts = [];
  let from = next;
  for (let i = 0; i < Number(value); i += 1) {
    const to = skip(bytes, from, 1);
    parts.push({ from, to });
    from = to;
  }
  return { parts, end: from };
}

// Where each field of a header and each transaction lies in the bytes of a block.
//
// Throws where the bytes are no block.
export function layout(bytes) {
  const whole = list(bytes, 0, 2);
  if (whole.end !== bytes.length) throw new RangeError('there are bytes left over');
  const { from } = whole.parts[0];
  return { from, fields: fieldsOf(bytes, from), transactions: list(bytes, whole.parts[1].from).parts };
}

function domain(purpose, ...parts) {
  return blake3(join(...parts), DOMAIN + purpose);
}

// The root of the tree over the ids of transactions, in the shape of RFC 9162.
export function root(ids) {
  if (ids.length === 0) return domain('transactions tree leaf');
  if (ids.length === 1) return domain('transactions tree leaf', ids[0]);
  let left = 1;
  while (left * 2 < ids.length) left *= 2;
  return domain('transactions tree node', root(ids.slice(0, left)), root(ids.slice(left)));
}

// The way from an id of a transaction to the root over all of its block, as RFC 9162 walks it: at each step the hash so far, the
// one beside it, on which side that is, and what both give. `null` where
// the path has not the length that such a place needs.
export function climb(id, index, size, path) {
  const steps = [];
  let [place, last] = [index, size - 1];
  if (place > last) return null;
  let hash = domain('transactions tree leaf', id);
  for (const beside of path) {
    if (last === 0) return null;
    const isRight = place % 2 === 1 || place === last;
    const gives = isRight ? domain('transactions tree node', beside, hash) : domain('transactions tree node', hash, beside);
    steps.push({ hash, beside, isRight, gives });
    hash = gives;
    // Where nothing is beside it, it goes up alone.
    if (isRight) while (place % 2 === 0 && place !== 0) [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
    [place, last] = [Math.floor(place / 2), Math.floor(last / 2)];
  }
  return last === 0 ? { steps, root: hash } : null;
}

export function transactionId(bytes) {
  return domain('transaction id', bytes);
}

function seal(digest, nonce, pow) {
  const tried = new Uint8Array(40);
  tried.set(digest);
  new DataView(tried.buffer).setBigUint64(32, nonce, true);
  return pow === 'blake3' ? blake3(tried) : sha256(sha256(tried));
}

// The bytes of a text or of bytes, or a number.
export function payload(bytes, { from }) {
  const { kind, value, next } = item(bytes, from);
  return kind === 2 || kind === 3 ? bytes.subarray(next, next + Number(value)) : value;
}

// Where the fields of a header lie in bytes, from a place on.
function fieldsOf(bytes, from) {
  return list(bytes, from, FIELDS.length).parts.map((part, i) => ({ ...part, name: FIELDS[i] }));
}

// What a header says and gives: its fields, its id, its target, and whether the id meets it.
export function header(bytes, from, pow) {
  const fields = fieldsOf(bytes, from);
  const at = Object.fromEntries(fields.map((field) => [field.name, payload(bytes, field)]));
  const sealed = bytes.subarray(fields[0].from, fields[7].to);
  const digest = domain('block header', new Uint8Array([0x80 | (FIELDS.length - 1)]), sealed);
  const id = hex(seal(digest, BigInt(at.nonce), pow));
  const compact = Number(at.target);
  const shift = BigInt(8 * ((compact >>> 24) - 3));
  const mantissa = BigInt(compact & 0xffffff);
  const target = shift >= 0n ? mantissa << shift : mantissa >> -shift;
  return { at, id, target, meets: BigInt(`0x${id}`) <= target };
}

// All that the bytes of a block say and give: the ids of its transactions, the root over them, the block's id, the target.
export function work(bytes, pow) {
  const { from: start, transactions } = layout(bytes);
  const ids = transactions.map(({ from, to }) => transactionId(bytes.subarray(from, to)));
  const { at, id, target, meets } = header(bytes, start, pow);
  return { ids: ids.map(hex), root: hex(root(ids)), saidRoot: hex(at.transactions_root), id, target, meets };
}
