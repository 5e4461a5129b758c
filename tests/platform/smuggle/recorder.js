// The server behind: takes down every byte of every connection, reads it as
// strictly as message.js does, and answers each request with what it asked for.
// A proxy sends nothing before the answer to what it sent last: bytes that do
// come are told as surplus.
'use strict';
const net = require('net');
const message = require('./message.js');

class Recorder {
  constructor({big = 0, lenient = false} = {}) {
    this.count = 0;
    this.taken = 0;
    this.lenient = lenient;
    this.big = Buffer.alloc(big, 'b'); // what /big is answered with
    this.script = null; // {bytes, slice, close}: instead of the next answer
    this.conns = [];
    this.open = new Set();
    this.changed = () => {};
  }

  async listen() {
    this.server = net.createServer({allowHalfOpen: true, noDelay: true},
                                   s => this.accept(s));
    await new Promise((done, failed) => {
      this.server.on('error', failed);
      this.server.listen(0, '127.0.0.1', done);
    });
    return `127.0.0.1:${this.server.address().port}`;
  }

  close() {
    this.server.close();
    for (const c of this.open)
      c.socket.destroy();
  }

  // Forgets what was seen; connections stay.
  begin() {
    this.conns = this.conns.filter(c => c.alive);
    for (const c of this.conns) {
      c.requests = [];
      c.bad = null;
    }
  }

  accept(socket) {
    const c = {socket, text: '', at: 0, alive: true, requests: [], bad: null,
               busy: false, continued: false, tunnel: false};
    this.conns.push(c);
    this.open.add(c);
    socket.setEncoding('latin1');
    socket.on('data', data => {
      if (c.tunnel) {
        socket.write(data, 'latin1');
        return;
      }
      c.text += data;
      if (c.busy)
        this.wrong(c, `surplus ${JSON.stringify(data.slice(0, 200))}`);
      this.take(c);
    });
    socket.on('end', () => socket.end());
    socket.on('error', () => {});
    socket.on('close', () => {
      c.alive = false;
      this.open.delete(c);
      this.changed();
    });
  }

  wrong(c, why) {
    c.bad = c.bad || why;
    c.socket.destroy();
  }

  take(c) {
    while (!c.busy && c.bad === null && c.at < c.text.length) {
      const r = message.request(c.text, c.at, this.lenient);
      if (r.bad) {
        this.wrong(c, r.bad);
        return;
      }
      if (r.more) {
        if (r.head !== null && !c.continued &&
            message.all(r.head.fields, 'expect').length === 1) {
          c.continued = true;
          c.socket.write('HTTP/1.1 100 Continue\r\n\r\n');
        }
        return;
      }
      c.text = c.text.slice(r.end);
      c.at = 0;
      c.continued = false;
      c.busy = true;
      r.number = ++this.taken;
      c.requests.push(r);
      if (c.text !== '')
        this.wrong(c, `surplus ${JSON.stringify(c.text.slice(0, 200))}`);
      this.answer(c, r);
    }
    this.changed();
  }

  answer(c, r) {
    const script = this.script;
    if (script !== null && r.target === script.target) {
      this.script = null;
      this.play(c, script);
      return;
    }
    const claim = message.all(r.fields, 'x-drone-claim').join(', ');
    const what = `${r.method} ${r.target} ${r.body.length}`;
    if (message.all(r.fields, 'upgrade').join() === 'websocket') {
      c.tunnel = true;
      c.socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket' +
          `\r\nConnection: Upgrade\r\nX-Drone-Claim: ${claim}\r\n\r\n`);
      return;
    }
    const body = r.target === '/big' ? this.big : Buffer.from(`${++this.count}\n`);
    c.busy = false;
    c.socket.cork(); // one packet for both
    c.socket.write(`HTTP/1.1 200 OK\r\nX-Drone-Claim: ${claim}\r\n` +
        `X-Asked: ${what}\r\nContent-Length: ${body.length}\r\n\r\n`);
    if (r.method !== 'HEAD')
      c.socket.write(body);
    c.socket.uncork();
  }

  async play(c, script) {
    const {bytes, slice} = script;
    for (let i = 0; i < bytes.length && c.alive; i += slice) {
      if (i + slice >= bytes.length)
        c.busy = false;
      c.socket.write(bytes.slice(i, i + slice), 'latin1');
      if (slice < bytes.length)
        await new Promise(done => setImmediate(done));
    }
    c.busy = false;
    if (script.close)
      c.socket.end();
  }

  // Nothing is half there: what is not at the end of a request is closed.
  async settled(ms) {
    const end = Date.now() + ms;
    while (this.conns.some(c => c.alive && !c.tunnel && c.text !== '')) {
      if (Date.now() > end)
        return false;
      await new Promise(done => {
        const timer = setTimeout(done, 100);
        this.changed = () => { clearTimeout(timer); done(); };
      });
    }
    this.changed = () => {};
    return true;
  }
}

module.exports = {Recorder};
