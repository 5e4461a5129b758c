'use strict';
// What a database's changes feed is made of, kept in memory: for each document
// its newest row, in the order of sequences, rendered as the JSON members that
// follow "seq". It is the only reader of PouchDB's own changes; all feeds
// read here, synchronously, so no write can land between a feed's reading and
// its going to sleep. Holds no documents.

const READ_ROWS = 1000;
const COMPACT_ROWS = 10000;

function render(id, revs, deleted) {
  const changes = revs.map((rev) => `{"rev":${JSON.stringify(rev)}}`).join();
  return `"id":${JSON.stringify(id)},"changes":[${changes}]` +
    (deleted ? ',"deleted":true' : '');
}

class ChangeIndex {
  /**
   * @param {function} read ({since, limit}) => Promise of PouchDB's rows with
   *   all leaves and the winning document
   * @param {function} updateSeq () => Promise of the last committed sequence
   */
  constructor(read, updateSeq) {
    Object.assign(this, { read, updateSeq });
    this.seq = 0; // every write up to here is in the index
    this.entries = []; // ascending by seq, superseded ones among them
    this.byId = new Map();
    this.deleted = 0;
    this.gone = false;
    this.waiters = new Set();
    this.pulling = null;
    this.again = false;
  }

  /** Resolves when everything committed before the call is in the index. */
  async sync() {
    const target = await this.updateSeq();
    while (this.seq < target && !this.gone) await this.pull();
  }

  /** To be called after each commit. */
  poke() {
    if (this.pulling) this.again = true;
    else if (!this.gone) this.pull().catch((err) => this.fail(err));
  }

  fail(err) {
    if (!this.gone) console.error('couch-serve: reading changes: %s', err.stack);
  }

  /** Reads what is new. Callers during a pull share it; it goes round once
   *  more when a commit was announced meanwhile. */
  pull() {
    if (!this.pulling) {
      this.pulling = this.readNew().finally(() => { this.pulling = null; });
    }
    return this.pulling;
  }

  async readNew() {
    do {
      this.again = false;
      // Asked before reading: what is committed later may not be seen by it.
      const target = await this.updateSeq();
      let rows;
      do {
        // A row superseded while it is read is left out by PouchDB; its
        // successor has a higher sequence than all that this reading sees.
        rows = await this.read({ since: this.seq, limit: READ_ROWS });
        if (this.gone) return;
        for (const row of rows) this.apply(row);
        if (rows.length < READ_ROWS) this.seq = Math.max(this.seq, target);
        this.wake();
      } while (rows.length === READ_ROWS);
    } while (this.again);
  }

  apply({ seq, id, changes, deleted = false, doc }) {
    const old = this.byId.get(id);
    if (old) {
      old.superseded = true;
      this.deleted -= old.deleted;
    }
    const winner = doc._rev;
    const others = changes.map((c) => c.rev).filter((rev) => rev !== winner);
    const entry = {
      seq, id, deleted: Number(deleted), superseded: false,
      members: render(id, [winner], deleted),
      // Kept only when it differs: conflicts are rare.
      all: others.length && render(id, [winner, ...others], deleted),
    };
    this.entries.push(entry);
    this.byId.set(id, entry);
    this.deleted += entry.deleted;
    this.seq = seq;
    const superseded = this.entries.length - this.byId.size;
    if (superseded > COMPACT_ROWS && superseded > this.byId.size)
      this.entries = this.entries.filter((e) => !e.superseded);
  }

  /** Position of the first entry after `since`. */
  find(since) {
    let low = 0, high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entries[middle].seq <= since) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /**
   * At most `limit` rows after `since`.
   * @returns rows, the position they reach, and whether there may be more
   */
  after(since, limit, accept) {
    const rows = [];
    for (let i = this.find(since); i < this.entries.length; i++) {
      const entry = this.entries[i];
      if (entry.superseded || (accept && !accept(entry.id))) continue;
      rows.push(entry);
      if (rows.length === limit) return { rows, upto: entry.seq, more: true };
    }
    return { rows, upto: Math.max(since, this.seq), more: false };
  }

  newestFirst(limit, accept) {
    const rows = [];
    for (let i = this.entries.length; i-- > 0 && rows.length < limit;) {
      const entry = this.entries[i];
      if (!entry.superseded && (!accept || accept(entry.id))) rows.push(entry);
    }
    return rows;
  }

  countAfter(since) {
    if (since <= 0) return this.byId.size;
    let count = 0;
    for (let i = this.find(since); i < this.entries.length; i++)
      if (!this.entries[i].superseded) count++;
    return count;
  }

  wake() {
    const waiters = [...this.waiters];
    for (const waiter of waiters) waiter();
  }

  /** The database was deleted: every feed ends. */
  end() {
    this.gone = true;
    this.wake();
  }
}

module.exports = { ChangeIndex };
