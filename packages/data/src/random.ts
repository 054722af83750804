/**
 * CPython's `random.Random(seed)` for an integer seed: MT19937 (Matsumoto and Nishimura 1998) seeded with init_by_array, and
 * `shuffle` over `_randbelow_with_getrandbits` (Lib/random.py, unchanged since Python 3.2). Same seed, same order as Python.
 */
export class PythonRandom {
  private readonly state: Uint32Array;
  private index = n;

  /** @throws RangeError when `seed` is no safe integer */
  constructor(seed: number) {
    if (!Number.isSafeInteger(seed)) throw new RangeError(`The seed must be an integer, is ${seed}.`);
    this.state = seedState(seedWords(Math.abs(seed)));
  }

  /** Uniform integer below 2^nBits, 1 <= nBits <= 32. */
  getrandbits(nBits: number): number {
    return this.next() >>> (32 - nBits);
  }

  /** Permute `items` in place (Fisher-Yates from the end). */
  shuffle<T>(items: T[]): void {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j], items[i]];
    }
  }

  /** Uniform integer in [0, limit), 1 <= limit < 2^32: bits are drawn anew until they fit. */
  private below(limit: number): number {
    const nBits = 32 - Math.clz32(limit);
    for (;;) {
      const value = this.getrandbits(nBits);
      if (value < limit) return value;
    }
  }

  private next(): number {
    if (this.index === n) this.twist();
    let y = this.state[this.index++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  }

  private twist(): void {
    const { state } = this;
    for (let i = 0; i < n; i++) {
      const y = (state[i] & 0x80000000) | (state[(i + 1) % n] & 0x7fffffff);
      state[i] = state[(i + m) % n] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
    }
    this.index = 0;
  }
}

/** Words of state, and the distance of the recurrence (MT19937's parameters). */
const n = 624;
const m = 397;

/** The seed's 32-bit words, lowest first, at least one. */
function seedWords(seed: number): number[] {
  const high = Math.floor(seed / 2 ** 32);
  return high === 0 ? [seed] : [seed >>> 0, high];
}

function seedState(key: readonly number[]): Uint32Array {
  const s = linearState(19650218);
  let i = 1;
  for (let k = 0; k < n; k++) {
    s[i] = (s[i] ^ Math.imul(s[i - 1] ^ (s[i - 1] >>> 30), 1664525)) + key[k % key.length] + (k % key.length);
    i = step(s, i);
  }
  for (let k = 1; k < n; k++) {
    s[i] = (s[i] ^ Math.imul(s[i - 1] ^ (s[i - 1] >>> 30), 1566083941)) - i;
    i = step(s, i);
  }
  s[0] = 0x80000000;
  return s;
}

function linearState(seed: number): Uint32Array {
  const s = new Uint32Array(n);
  s[0] = seed;
  for (let i = 1; i < n; i++) s[i] = Math.imul(s[i - 1] ^ (s[i - 1] >>> 30), 1812433253) + i;
  return s;
}

/** The index after `i` in 1 .. n - 1, carrying the last word to the front on the way round. */
function step(s: Uint32Array, i: number): number {
  if (i + 1 < n) return i + 1;
  s[0] = s[n - 1];
  return 1;
}
