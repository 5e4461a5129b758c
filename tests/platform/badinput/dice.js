// What is random, out of one seed, and values that are wrong nearly everywhere.
'use strict';

class Dice {
  constructor(seed) { this.state = (seed * 2654435769 + 88172645) >>> 0 || 1; }
  below(n) {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x >>> 0;
    return this.state % n;
  }
  one(list) { return list[this.below(list.length)]; }
  chance(percent) { return this.below(100) < percent; }
  text(most) {
    let s = '';
    for (let n = this.below(most + 1); n > 0; n--)
      s += String.fromCharCode(this.below(256));
    return s;
  }
}

const deep = n => '['.repeat(n) + ']'.repeat(n);

// Never the word that starts an app.
const junk = [
  null, true, false, 0, -1, 1.5, 2 ** 31, 2 ** 53, -(2 ** 53), 1e308, '', 'a',
  ' ', '\u0000', 'a\u0000b', '\ud83d\ude00', 'x'.repeat(5000),
  'y'.repeat(70000), '127.0.0.1', '127.0.0.1:0', '127.0.0.1:99999',
  'localhost:80', '[::1]:80', '../..', 'a'.repeat(32), 'A'.repeat(32), [], {},
  [[]], [null], [{}], {a: {}}, {'': ''}, {__proto__x: 1}, [1, 2, 3],
  Array(100).fill('h.example'), JSON.parse(deep(60)),
  Object.fromEntries([...Array(200).keys()].map(i => ['k' + i, i]))
];

module.exports = {Dice, junk, deep};
