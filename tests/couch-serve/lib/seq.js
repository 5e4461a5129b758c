'use strict';
// Update sequences as clients see them: "N-g1AAAA<opaque>". The opaque part
// names the instance of the database and the number, filled up to the length
// CouchDB's have, so that it cannot be mistaken for an integer, a garbled one
// is refused, and one of another (or a recreated) database is recognised.

const { createHash } = require('crypto');

const HEAD = 'g1AAAA';
const INSTANCE_BYTES = 18;
const FILL_BYTES = 54;
const DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
const FORM = new RegExp('^(?:\\d+-)?' + HEAD + '([\\w-]{' +
  (INSTANCE_BYTES + 9 + FILL_BYTES) / 3 * 4 + '})$');

const sha512 = (data) => createHash('sha512').update(data).digest();

function digits24(x) {
  return DIGITS[x >>> 18] + DIGITS[x >>> 12 & 63] + DIGITS[x >>> 6 & 63] +
    DIGITS[x & 63];
}

class SeqCodec {
  /** @param {Buffer} instance INSTANCE_BYTES that differ for each database */
  constructor(instance) {
    const fill = sha512(instance);
    this.instance = instance;
    this.before = HEAD + instance.toString('base64url');
    this.after = fill.subarray(0, FILL_BYTES).toString('base64url');
    this.salt = fill.readInt32BE(FILL_BYTES);
  }

  static forId(id) {
    return new SeqCodec(sha512(id).subarray(0, INSTANCE_BYTES));
  }

  opaque(n) {
    const high = Math.floor(n / 0x1000000), low = n % 0x1000000;
    let check = Math.imul(this.salt ^ low, 0x45d9f3b) ^ high;
    check = Math.imul(check ^ check >>> 15, 0x2c1b3c6d) >>> 8;
    return this.before + digits24(high) + digits24(low) + digits24(check) +
      this.after;
  }

  format(n) {
    return n + '-' + this.opaque(n);
  }

  /** The number, 0 for another instance's sequence, or -1 when malformed. */
  parse(text) {
    const unquoted = /^".*"$/.test(text) ? text.slice(1, -1) : text;
    const match = FORM.exec(unquoted);
    if (!match) return -1;
    const bytes = Buffer.from(match[1], 'base64url');
    const instance = Buffer.from(bytes.subarray(0, INSTANCE_BYTES));
    const n = bytes.readUIntBE(INSTANCE_BYTES, 6);
    const mine = instance.equals(this.instance);
    const codec = mine ? this : new SeqCodec(instance);
    if (codec.opaque(n) !== HEAD + match[1]) return -1;
    return mine ? n : 0;
  }
}

module.exports = { SeqCodec };
