'use strict';
// GET /_db_updates, and the database _global_changes behind it: a document
// "created:NAME", "updated:NAME" or "deleted:NAME" for each kind of event of
// each database, written anew at each event, a little later than the event and
// many at a time. As in CouchDB an event may be lost with the server.

const { commits } = require('./commits');
const { Follower } = require('./follow');
const { Out } = require('./out');
const { parseFeed, positionOf } = require('./query');

const NAME = '_global_changes';
const GATHER_MS = 20;

class GlobalChanges {
  constructor(databases) {
    this.databases = databases;
    this.queue = new Map(); // document ids, oldest first; the values unused
    this.timer = null;
  }

  async start() {
    this.database = this.databases.get(NAME) ||
      await this.databases.create(NAME);
    const { rows } = await this.database.raw('allDocs');
    this.revs = new Map(rows.map((row) => [row.id, row.value.rev]));
    commits.on('any commit', (storage) => this.committed(storage));
  }

  committed(storage) {
    const name = this.databases.named(storage);
    if (name !== undefined && name !== NAME) this.note('updated', name);
  }

  note(type, name) {
    const id = `${type}:${name}`;
    this.queue.delete(id); // to the end
    this.queue.set(id, true);
    if (!this.timer) {
      this.timer = setTimeout(() => this.flush().catch((err) =>
        console.error('couch-serve: _global_changes: %s', err.stack)),
      GATHER_MS);
    }
  }

  async flush() {
    while (this.queue.size > 0) {
      const docs = [...this.queue.keys()].map((_id) =>
        ({ _id, ...(this.revs.has(_id) && { _rev: this.revs.get(_id) }) }));
      this.queue.clear();
      const results = await this.database.raw('bulkDocs', { docs });
      for (const result of results) {
        if (result.ok) this.revs.set(result.id, result.rev);
        else throw new Error(`${result.id}: ${result.message}`);
      }
    }
    this.timer = null;
  }

  async serve(req, res) {
    const options = parseFeed(req.originalUrl);
    const { codec } = await this.database.open();
    const index = await this.database.index();
    const position = positionOf(options.since, codec, index.seq);
    const format = (n) => `"${codec.format(n)}"`;
    const source = {
      index, format,
      next: async (since, limit) => index.after(since, limit,
        (id) => /^(?:created|updated|deleted):/.test(id)),
      write(out, { id, seq }) {
        const at = id.indexOf(':');
        const db_name = JSON.stringify(id.slice(at + 1));
        out.text(`{"db_name":${db_name},"type":"${id.slice(0, at)}",` +
          `"seq":${format(seq)}}`, format(seq));
      },
    };
    const out = new Out(res, options.feed, { unbuffered: true });
    await new Follower(source, out, options, position, false).run();
  }
}

module.exports = { GlobalChanges };
