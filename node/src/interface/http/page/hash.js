// SHA-256 and BLAKE3. The browser's own functions are not there on a plain http address of a local network, do not take a file
// piece by piece, and know no BLAKE3: these are slower, and work everywhere.

const IV = new Uint32Array([0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19]);

// The fractional parts of the cube roots of the first 64 primes, 32 bits of each.
const ROUNDS = (() => {
  const primes = [];
  for (let n = 2; primes.length < 64; n += 1) if (primes.every((prime) => n % prime !== 0)) primes.push(n);
  return new Uint32Array(
    primes.map((prime) => {
      // In whole numbers, as a floating-point root would not be exact: the cube root of prime * 2^96.
      const cube = BigInt(prime) << 96n;
      let root = 0n;
      for (let bit = 1n << 36n; bit > 0n; bit >>= 1n) if ((root + bit) ** 3n <= cube) root += bit;
      return Number(root & 0xffffffffn);
    }),
  );
})();

export function hex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

export function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

export function join(...parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => (all.set(part, at), at + part.length), 0);
  return all;
}

// A SHA-256 that takes its input piece by piece.
export class Sha256 {
  #state = IV.slice();
  #block = new Uint8Array(64);
  #words = new Uint32Array(64);
  #filled = 0;
  #length = 0;

  update(bytes) {
    this.#length += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      const taken = Math.min(64 - this.#filled, bytes.length - at);
      this.#block.set(bytes.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === 64) this.#compress();
    }
    return this;
  }

  digest() {
    const bits = this.#length * 8;
    this.#block.fill(0, this.#filled);
    this.#block[this.#filled] = 0x80;
    if (this.#filled >= 56) {
      this.#compress();
      this.#block.fill(0);
    }
    const view = new DataView(this.#block.buffer);
    view.setUint32(56, Math.floor(bits / 2 ** 32));
    view.setUint32(60, bits >>> 0);
    this.#compress();
    const out = new DataView(new ArrayBuffer(32));
    this.#state.forEach((word, i) => out.setUint32(4 * i, word));
    return new Uint8Array(out.buffer);
  }

  #compress() {
    const w = this.#words;
    const view = new DataView(this.#block.buffer);
    for (let i = 0; i < 16; i += 1) w[i] = view.getUint32(4 * i);
    for (let i = 16; i < 64; i += 1) {
      const x = w[i - 15];
      const y = w[i - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    let [a, b, c, d, e, f, g, h] = this.#state;
    for (let i = 0; i < 64; i += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (h + s1 + ((e & f) ^ (~e & g)) + ROUNDS[i] + w[i]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0;
      [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
    }
    [a, b, c, d, e, f, g, h].forEach((word, i) => {
      this.#state[i] += word;
    });
    this.#filled = 0;
  }
}

export function sha256(bytes) {
  return new Sha256().update(bytes).digest();
}

const PERMUTATION = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8];
const FLAG = { start: 1, end: 2, parent: 4, root: 8, context: 32, material: 64 };
const CHUNK = 1024;

function turn(value, count) {
  return (value >>> count) | (value << (32 - count));
}

function mix(v, a, b, c, d, x, y) {
  v[a] = v[a] + v[b] + x;
  v[d] = turn(v[d] ^ v[a], 16);
  v[c] += v[d];
  v[b] = turn(v[b] ^ v[c], 12);
  v[a] = v[a] + v[b] + y;
  v[d] = turn(v[d] ^ v[a], 8);
  v[c] += v[d];
  v[b] = turn(v[b] ^ v[c], 7);
}

function compress(key, block, counter, length, flags) {
  const v = new Uint32Array([...key, ...IV.subarray(0, 4), counter, 0, length, flags]);
  let m = block;
  for (let round = 0; round < 7; round += 1) {
    mix(v, 0, 4, 8, 12, m[0], m[1]);
    mix(v, 1, 5, 9, 13, m[2], m[3]);
    mix(v, 2, 6, 10, 14, m[4], m[5]);
    mix(v, 3, 7, 11, 15, m[6], m[7]);
    mix(v, 0, 5, 10, 15, m[8], m[9]);
    mix(v, 1, 6, 11, 12, m[10], m[11]);
    mix(v, 2, 7, 8, 13, m[12], m[13]);
    mix(v, 3, 4, 9, 14, m[14], m[15]);
    m = PERMUTATION.map((from) => m[from]);
  }
  return v.subarray(0, 8).map((word, i) => word ^ v[i + 8]);
}

function words(bytes) {
  const padded = new Uint8Array(64);
  padded.set(bytes);
  const view = new DataView(padded.buffer);
  return Array.from({ length: 16 }, (_, i) => view.getUint32(4 * i, true));
}

function chunk(bytes, key, counter, flags) {
  const count = Math.max(1, Math.ceil(bytes.length / 64));
  let chain = key;
  for (let i = 0; i < count; i += 1) {
    const block = bytes.subarray(64 * i, 64 * (i + 1));
    const start = i === 0 ? FLAG.start : 0;
    const end = i === count - 1 ? FLAG.end : 0;
    // Only the whole input's last compression is of the root.
    chain = compress(chain, words(block), counter, block.length, (flags & (end ? -1 : ~FLAG.root)) | start | end);
  }
  return chain;
}

function tree(bytes, key, counter, flags) {
  if (bytes.length <= CHUNK) return chunk(bytes, key, counter, flags);
  const left = CHUNK * 2 ** Math.floor(Math.log2((bytes.length - 1) / CHUNK));
  const below = flags & ~FLAG.root;
  const halves = [
    tree(bytes.subarray(0, left), key, counter, below),
    tree(bytes.subarray(left), key, counter + left / CHUNK, below),
  ];
  return compress(key, [...halves[0], ...halves[1]], 0, 64, flags | FLAG.parent);
}

function out(state) {
  const view = new DataView(new ArrayBuffer(32));
  state.forEach((word, i) => view.setUint32(4 * i, word, true));
  return new Uint8Array(view.buffer);
}

// The keys of contexts, each worked out once: there are a few.
const keys = new Map();

// BLAKE3, for a purpose that is named by a context where there is one.
export function blake3(bytes, context) {
  if (context === undefined) return out(tree(bytes, IV, 0, FLAG.root));
  if (!keys.has(context)) keys.set(context, tree(new TextEncoder().encode(context), IV, 0, FLAG.context | FLAG.root));
  return out(tree(bytes, keys.get(context), 0, FLAG.material | FLAG.root));
}
