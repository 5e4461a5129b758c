'use strict';
// Writes: new documents, updates and deletions, some a second, one after the
// other. While the database does not answer, it tries the same write again.

const { Refused } = require('./couch');

const PERIOD_MS = 125;
const DOCUMENTS = 20;
const DELETE_EVERY = 6;

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

class Writer {
  constructor(couch, db) {
    this.couch = couch;
    this.db = db;
    this.known = new Map(); // id: { rev, deleted }, as the database said
    this.writes = this.deletions = this.repeated = 0;
    this.stopping = false;
  }

  /** 7 and 20 have no common divisor: every document has its turn. */
  idOf(n) {
    return `doc-${String((n * 7) % DOCUMENTS).padStart(2, '0')}`;
  }

  async write(n) {
    const id = this.idOf(n);
    const old = this.known.get(id);
    const live = old !== undefined && !old.deleted;
    const body = { n };
    if (live) {
      body._rev = old.rev;
      body._deleted = n % DELETE_EVERY === 0 || undefined;
    }
    const answer = await this.couch.ask('PUT', `/${this.db}/${id}`, body);
    this.known.set(id, { rev: answer.rev, deleted: body._deleted === true });
    this.writes++;
    if (body._deleted) this.deletions++;
  }

  /** A write whose answer was lost may have been made all the same: then the
   *  next try is a conflict, and the database is asked what it holds. */
  async settle(n) {
    const id = this.idOf(n);
    const now = (await this.couch.revisions(this.db, [id])).get(id);
    if (now === undefined) return;
    this.known.set(id, now);
    this.writes++;
    if (now.deleted) this.deletions++;
  }

  async writeOrRepeat(n) {
    for (let conflict = false; !this.stopping;) {
      try {
        return await (conflict ? this.settle(n) : this.write(n));
      } catch (err) {
        if (err instanceof Refused && err.status < 500) {
          if (conflict || err.status !== 409) throw err;
          conflict = true;
        } else {
          this.repeated++;
          await pause(PERIOD_MS);
        }
      }
    }
  }

  /** Until stop; rejects when the database refuses a write. */
  async run() {
    for (let n = 1; !this.stopping; n++) {
      const next = pause(PERIOD_MS);
      await this.writeOrRepeat(n);
      await next;
    }
  }

  stop() {
    this.stopping = true;
  }
}

module.exports = { Writer };
