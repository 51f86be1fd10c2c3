// Receipts: what one shows of a file, worked out in the browser as far as it can be, and in the words of whoever asks.

import { blockLink, el, stranger } from './dom.js';
import { get } from './api.js';
import { blake3, hex, sha256 } from './hash.js';
import { moment, number, rich, t } from './text.js';
import { climb, header, list, payload, transactionId } from './verify.js';

// The longest receipt that there is, in bytes, and the most headers in one.
const LONGEST = 12 << 20;
const HEADERS = 10_000;
// Of so large a file the BLAKE3 digest is worked out here too, in bytes: it takes seconds.
const BLAKE3_UP_TO = 8 << 20;
// Headers that are worked out before the page does something else.
const AT_ONCE = 200;

const text = (bytes) => new TextDecoder().decode(bytes);

// What the bytes of a receipt say. Throws where they are none.
function read(bytes) {
  if (bytes.length > LONGEST) throw new RangeError('longer than any receipt');
  const { parts, end } = list(bytes, 0, 6);
  if (end !== bytes.length || payload(bytes, parts[0]) !== 1n) throw new RangeError('not a receipt of a kind that is known');
  const specification = text(payload(bytes, parts[1]));
  const transaction = list(bytes, parts[2].from, 6).parts;
  const action = list(bytes, transaction[4].from).parts;
  const [index, size, path] = list(bytes, parts[4].from, 3).parts;
  const headers = list(bytes, parts[5].from).parts;
  if (headers.length > HEADERS) throw new RangeError('more headers than in any receipt');
  return {
    chain: /^name = "([^"]*)"/m.exec(specification)?.[1] ?? '?',
    pow: /^pow = "([^"]*)"/m.exec(specification)?.[1],
    id: transactionId(bytes.subarray(parts[2].from, parts[2].to)),
    record: payload(bytes, action[0]) === 1n ? payload(bytes, action[2]) : null,
    height: Number(payload(bytes, parts[3])),
    index: Number(payload(bytes, index)),
    size: Number(payload(bytes, size)),
    path: list(bytes, path.from).parts.map((part) => payload(bytes, part)),
    headers,
  };
}

// How a record belongs to a file: `sha256`, `blake3`, `content`, or null where it does not. `sum` is the file's SHA-256 digest.
async function belongs(record, file, sum) {
  const says = text(record).trim().toLowerCase();
  const is = (digest) => says === digest || (record.length === 32 && hex(record) === digest);
  if (is(sum)) return 'sha256';
  if (record.length === file.size && hex(sha256(record)) === sum) return 'content';
  if (file.size > BLAKE3_UP_TO) return null;
  return is(hex(blake3(new Uint8Array(await file.arrayBuffer())))) ? 'blake3' : null;
}

// The headers, each worked out anew: whether they follow one another, each with its work, and that of the transaction's block.
async function walk(bytes, { headers, height, pow }) {
  let before = null;
  let block = null;
  let holds = headers.length > 0;
  for (const [i, part] of headers.entries()) {
    const one = header(bytes, part.from, pow);
    holds &&= one.meets && (before === null || hex(one.at.previous_hash) === before);
    before = one.id;
    if (Number(one.at.height) === height) block = one;
    // The page goes on answering meanwhile.
    if (i % AT_ONCE === AT_ONCE - 1) await new Promise((done) => setTimeout(done));
  }
  return { holds, block };
}

// Whether a block is on the chain of this node.
async function isHere(id, height) {
  try {
    return (await get(`/api/v1/blocks/${height}/header`)).hash === id;
  } catch (error) {
    if (error.status === undefined) throw error;
    return false;
  }
}

function line(holds, key, values = {}) {
  return el(holds ? 'li.good' : 'li.bad', {}, holds ? '✓ ' : '✕ ', rich(`receipt.${key}.${holds ? 'yes' : 'no'}`, values));
}

// What a receipt shows of a file with this SHA-256 digest, as elements.
export async function judge(receiptFile, file, sum) {
  let bytes;
  let receipt;
  try {
    bytes = new Uint8Array(await receiptFile.arrayBuffer());
    receipt = read(bytes);
  } catch (error) {
    if (error instanceof DOMException) throw error;
    return el('p.bad.verdict', {}, t('receipt.none'));
  }
  const { id, record, index, size, path, height } = receipt;
  const how = record === null ? null : await belongs(record, file, sum);
  const { holds, block } = await walk(bytes, receipt);
  const way = climb(id, index, size, path);
  const isIn = block !== null && way !== null && hex(way.root) === hex(block.at.transactions_root);
  const here = block !== null && (await isHere(block.id, height));
  const isGood = how !== null && holds && isIn;
  const count = number(receipt.headers.length);
  return [
    el(isGood ? 'p.good.verdict' : 'p.bad.verdict', {}, isGood ? '✓ ' : '✕ ', t(isGood ? 'receipt.good' : 'receipt.bad')),
    block !== null &&
      el(
        'p',
        {},
        rich('receipt.says', { chain: stranger(receipt.chain), height: String(height), time: moment(Number(block.at.timestamp)) }),
      ),
    el(
      'ul.told',
      {},
      record === null ? line(false, 'record') : line(how !== null, 'file', { how: how === null ? '' : t(`receipt.how.${how}`) }),
      line(isIn, 'block', { n: path.length, height: String(height) }),
      line(holds, 'headers', { n: receipt.headers.length, count }),
      block !== null && line(here, 'here', { block: blockLink(block.id, String(height)) }),
    ),
    el('p.note', {}, rich('receipt.rest', { command: el('code', {}, 'bard verify-receipt') })),
  ];
}
