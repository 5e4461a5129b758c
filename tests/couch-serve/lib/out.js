'use strict';
// The bytes of a feed: rows gathered into chunks of about 1490 bytes, the
// blank lines and heartbeats between them, and the end of each kind of feed,
// all as CouchDB 3.5 lays them out. Knows nothing of where rows come from.

const BUFFER_BYTES = 1490; // [chttpd] chunked_response_buffer_size
const HEARTBEAT = { eventsource: 'event: heartbeat\ndata: \n\n' };

class Out {
  /**
   * @param {string} feed normal, longpoll, continuous or eventsource
   * @param {object} [options] etag; unbuffered: each row is its own chunk and
   *   headers wait for the first output, as in _db_updates
   */
  constructor(res, feed, { etag, unbuffered } = {}) {
    Object.assign(this, { res, feed, etag, unbuffered });
    this.listed = feed === 'normal' || feed === 'longpoll';
    this.buffer = '';
    this.bytes = 0;
    this.separator = '';
    this.rows = 0;
    this.chunks = 0;
  }

  write(text) {
    if (!this.res.headersSent) this.head();
    this.res.write(text);
    this.chunks++;
  }

  head() {
    const source = this.feed === 'eventsource';
    this.res.setHeader('Content-Type',
      source ? 'text/event-stream' : 'application/json');
    if (source) this.res.setHeader('Cache-Control', 'no-cache');
    if (this.etag) this.res.setHeader('ETag', this.etag);
    this.res.writeHead(200);
    if (this.listed) this.res.write('{"results":[\n');
  }

  /** @param {string} seq as JSON; @param {string} members the row's others */
  row(seq, members) {
    this.text(`{"seq":${seq},${members}}`, seq);
  }

  text(json, seq) {
    let text;
    if (this.feed === 'continuous') text = json + '\n';
    else if (this.listed) text = this.separator + json;
    else text = `data: ${json}\nid: ${seq}\n\n`;
    this.separator = ',\r\n';
    this.rows++;
    const bytes = Buffer.byteLength(text);
    if (this.bytes > 0 && this.bytes + bytes > BUFFER_BYTES) this.flush();
    this.buffer += text;
    this.bytes += bytes;
    if (this.unbuffered) this.flush();
  }

  flush() {
    if (this.bytes === 0) return;
    this.write(this.buffer);
    this.buffer = '';
    this.bytes = 0;
  }

  /** All rows there are have been given: wait with nothing held back. */
  waiting() {
    if (this.bytes > 0) this.flush();
    else if (this.chunks === 0 && !this.unbuffered) this.write('\n');
  }

  beat() {
    this.write(HEARTBEAT[this.feed] || '\n');
  }

  /** @param {string} seq as JSON; @param {number} [pending] */
  end(seq, pending) {
    const tail = `"last_seq":${seq}` +
      (pending === undefined ? '' : `,"pending":${pending}`) + '}\n';
    if (this.feed === 'continuous') this.buffer += '{' + tail;
    else if (this.listed) this.buffer += '\n],\n' + tail;
    else if (this.bytes === 0 && !this.unbuffered) return this.endTwice();
    if (this.buffer !== '') this.write(this.buffer);
    else if (!this.res.headersSent) this.head();
    return this.res.end('\n');
  }

  /** With nothing left to flush CouchDB ends an event source twice: the bytes
   *  of the second end stand where the next response should begin. */
  endTwice() {
    const { res } = this, { socket } = res;
    const chunked = res.chunkedEncoding;
    res.end(() => {
      if (chunked && socket && socket.writable)
        socket.write('1\r\n\n\r\n0\r\n\r\n');
    });
  }

  /** Let the client read and other feeds have their turn. */
  breathe() {
    const { res } = this;
    if (!res.writableNeedDrain || res.destroyed)
      return new Promise((done) => setImmediate(done));
    return new Promise((done) => {
      const finish = () => {
        res.off('drain', finish);
        res.off('close', finish);
        done();
      };
      res.on('drain', finish);
      res.on('close', finish);
    });
  }
}

module.exports = { Out };
