'use strict';
// The life of one feed request: give what there is, wait for more, beat, end.
// Rows come from a source, bytes go to an Out. Ends with the connection, the
// database, the limit or the timeout, whichever is first, and then leaves
// nothing behind.

const PAGE_ROWS = 500;

/** Resolves with 'news', 'time' or 'closed'. News that came before this call
 *  are seen at once: position and index are compared in the same turn. */
function pause(index, position, ms, res) {
  if (res.destroyed) return Promise.resolve('closed');
  if (index.gone || index.seq > position) return Promise.resolve('news');
  return new Promise((done) => {
    const finish = (what) => {
      clearTimeout(timer);
      index.waiters.delete(news);
      res.off('close', closed);
      done(what);
    };
    const news = () => finish('news');
    const closed = () => finish('closed');
    const timer = setTimeout(finish, ms, 'time');
    index.waiters.add(news);
    res.on('close', closed);
  });
}

/**
 * @param {object} source index; next(position, limit) => Promise of {rows,
 *   upto, more}; write(out, row, bare) with bare: without its sequence;
 *   pending(position, started, given) when the feed ends; format(position)
 * @param {object} options of query.js
 * @param {boolean} announce whether a wake shows as a heartbeat first
 */
class Follower {
  constructor(source, out, options, position, announce) {
    Object.assign(this, { source, out, options, position, announce });
    this.started = position;
    this.left = options.limit;
  }

  /** @param page the first page, read before the headers were sent */
  async run(page) {
    const { out, source: { index }, options } = this;
    for (;;) {
      await this.give(page);
      page = undefined;
      if (out.res.destroyed) return;
      const done = this.left === 0 || index.gone || options.feed === 'normal' ||
        (options.feed === 'longpoll' && out.rows > 0);
      if (done) return this.end();
      out.waiting();
      const what = await this.waitForNews();
      if (what === 'closed') return;
      if (what === 'time') return this.end();
    }
  }

  async give(page) {
    const { out, source } = this;
    while (this.left > 0 && !out.res.destroyed && !source.index.gone) {
      if (!page) page = await this.nextPage();
      if (!page) return;
      const { rows, upto, more } = page;
      for (const row of rows) {
        const bare = this.left % this.options.interval !== 0;
        source.write(out, row, bare);
        this.left--;
      }
      this.position = upto;
      page = undefined;
      if (!more) return;
      await out.breathe();
    }
  }

  /** Nothing when the database was deleted meanwhile: that is an end in
   *  health, with the position reached. */
  async nextPage() {
    try {
      return await this.source.next(this.position, this.wanted());
    } catch (err) {
      if (this.source.index.gone) return undefined;
      throw err;
    }
  }

  wanted() {
    return Math.min(this.left, PAGE_ROWS);
  }

  async waitForNews() {
    const { out, source: { index }, options } = this;
    for (;;) {
      const ms = options.heartbeat || options.timeout;
      const what = await pause(index, this.position, ms, out.res);
      if (what === 'closed') return what;
      if (what === 'news') {
        if (this.announce && !index.gone) out.beat();
        return what;
      }
      if (!options.heartbeat) return what;
      out.beat();
    }
  }

  end() {
    const { source, out } = this;
    const pending = source.pending && (source.index.gone ? 0 :
      source.pending(this.position, this.started, out.rows));
    out.end(source.format(this.position), pending);
  }
}

module.exports = { Follower, PAGE_ROWS };
