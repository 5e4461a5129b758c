'use strict';
// GET and POST /db/_changes: from a request to a Follower with its source of
// rows. Rows come from the index alone unless documents are asked for or
// judged; then pages are read from PouchDB, small ones if documents are big.

const { createHash } = require('crypto');
const { makeFilter } = require('./filter');
const { Follower, PAGE_ROWS } = require('./follow');
const { Out } = require('./out');
const { parseFeed, positionOf } = require('./query');

const PAGE_BYTES = 4 << 20;

/** Rows without documents. */
class IndexSource {
  constructor(index, codec, options, filter) {
    Object.assign(this, { index, codec, options, filter });
    this.all = options.style === 'all_docs';
  }

  format(position) {
    return `"${this.codec.format(position)}"`;
  }

  async next(position, limit) {
    return this.index.after(position, limit, this.filter.accept);
  }

  async newestFirst(limit) {
    return this.index.newestFirst(limit, this.filter.accept);
  }

  write(out, row, bare) {
    out.row(bare ? 'null' : this.format(row.seq),
      (this.all && row.all) || row.members);
  }

  pending(position, started, given) {
    if (this.filter.partial || this.options.descending)
      return Math.max(0, this.index.countAfter(started) - given);
    return this.index.countAfter(position);
  }
}

/** Rows with documents, to be shown or to be judged. */
class DocumentSource extends IndexSource {
  constructor(database, ...rest) {
    super(...rest);
    this.database = database;
    this.page = 50;
  }

  read(more) {
    const { style, conflicts, attachments } = this.options;
    return this.database.changes({ style, conflicts, attachments,
      include_docs: true, ...more });
  }

  select(rows) {
    const { accept, keep } = this.filter;
    const asked = accept ? rows.filter((row) => accept(row.id)) : rows;
    if (!keep || asked.length === 0) return asked;
    const kept = this.filter.keep(asked.map((row) => row.doc));
    return asked.filter((row, i) => kept[i]);
  }

  async next(position, limit) {
    // Before the reading: what is written during it may not be in it.
    const covered = this.index.seq;
    const size = this.page;
    const rows = await this.read({ since: position, limit: size });
    const full = rows.length === size;
    const last = rows.length > 0 ? rows[rows.length - 1].seq : position;
    const selected = this.select(rows);
    if (selected.length > limit || (selected.length === limit && full)) {
      selected.length = limit;
      return { rows: selected, upto: selected[limit - 1].seq, more: true };
    }
    return { rows: selected, upto: full ? last : Math.max(last, covered),
      more: full };
  }

  async newestFirst(limit) {
    const rows = this.select(await this.read({ descending: true }));
    return rows.slice(0, limit);
  }

  write(out, row, bare) {
    const { seq, id, changes, deleted, doc } = row;
    let members = `"id":${JSON.stringify(id)},"changes":` +
      JSON.stringify(changes) + (deleted ? ',"deleted":true' : '');
    if (this.options.includeDocs) members += `,"doc":${this.render(doc)}`;
    this.adapt(members.length);
    out.row(bare ? 'null' : this.format(seq), members);
  }

  render(doc) {
    if (this.filter.project) return JSON.stringify(this.filter.project(doc));
    const { _id, _rev, ...rest } = doc;
    return JSON.stringify({ _id, _rev, ...rest });
  }

  /** Keep a page of documents near PAGE_BYTES. */
  adapt(bytes) {
    const fitting = Math.max(1, Math.floor(PAGE_BYTES / bytes));
    const step = fitting < this.page ? fitting : this.page + 10;
    this.page = Math.min(step, fitting, PAGE_ROWS);
  }
}

function etagOf(codec, seq) {
  const hash = createHash('md5').update(codec.format(seq)).digest('hex');
  return `"${BigInt('0x' + hash).toString(36).toUpperCase().padStart(25, '0')}"`;
}

function requestOf(req, query) {
  return { method: req.method, path: req.path.split('/').filter(Boolean),
    query, userCtx: req.couchSession.userCtx, headers: req.headers };
}

async function descend(source, out, options) {
  const rows = await source.newestFirst(options.limit);
  let position = source.index.seq;
  let left = options.limit;
  for (const row of rows) {
    source.write(out, row, left-- % options.interval !== 0);
    position = row.seq;
  }
  out.end(source.format(position), source.pending(position, 0, out.rows));
}

/** @param {object|undefined} body of a POST that has one */
async function serveChanges(database, req, res, body) {
  const options = parseFeed(req.originalUrl, req.get('last-event-id'));
  const { query, feed } = options;
  if (options.timeout < 0 && feed !== 'normal') return res.destroy();
  const { codec } = await database.open();
  const index = await database.index();
  const start = positionOf(options.since, codec, index.seq);
  const request = requestOf(req, query);
  const filter = await makeFilter(database, { query, body, request });
  const etag = feed === 'normal' ? etagOf(codec, index.seq) : undefined;
  if (etag && req.get('if-none-match') === etag) {
    for (const name of ['Cache-Control', 'Content-Type']) res.removeHeader(name);
    return res.status(304).set({ ETag: etag, 'Content-Length': '0' }).end();
  }
  if (req.method === 'HEAD') {
    res.setHeader('Content-Type', 'application/json');
    return res.set({ ...(etag && { ETag: etag }), 'Content-Length': '0' }).end();
  }
  const source = options.includeDocs || filter.keep ?
    new DocumentSource(database, index, codec, options, filter) :
    new IndexSource(index, codec, options, filter);
  const out = new Out(res, feed, { etag });
  if (options.descending) return descend(source, out, options);
  const follower = new Follower(source, out, options, start, true);
  // Read before the headers go out: a filter that fails gets its own status.
  const first = options.limit > 0 ?
    await source.next(start, follower.wanted()) : undefined;
  if (!res.destroyed) await follower.run(first);
}

module.exports = { serveChanges };
