// A client that sends bytes as they are, in any cuts, and reads what comes by
// message.js.
'use strict';
const net = require('net');
const message = require('./message.js');

const LIMIT_MS = 20000;

// Sends bytes (slice of them at once), and waits for as many answers as there
// are methods. ours: we close behind them; else the other side has to. Answers
// {answers, bad, rest, end}: end is 'closed', 'reset' or 'time'; informs are in
// answers[].before.
function talk(address, bytes, {methods, ours, slice = bytes.length || 1,
                               stop = false, then = ''}) {
  return new Promise(done => {
    const [host, port] = address.split(':');
    const socket = net.connect({host, port: +port, allowHalfOpen: true});
    let text = '', at = 0, before = [], over = false, gone = false;
    const answers = [], result = {answers, bad: null, rest: '', end: null};
    const finish = end => {
      if (over)
        return;
      over = true;
      clearTimeout(limit);
      socket.destroy();
      result.end = end;
      result.rest = text.slice(at);
      done(result);
    };
    const limit = setTimeout(() => finish('time'), LIMIT_MS);
    const look = ended => {
      while (result.bad === null && answers.length < methods.length) {
        const a = message.answer(text, at, methods[answers.length], ended);
        result.part = a.more ? a.head : null;
        if (a.bad)
          result.bad = a.bad;
        if (a.bad || a.more)
          break;
        at = a.end;
        if (a.status < 200 && a.status !== 101) {
          before.push(a.status);
          continue;
        }
        answers.push({...a, before});
        before = [];
        if (a.status === 101)
          socket.write(then, 'latin1');
      }
      const last = answers[answers.length - 1];
      if (answers.length === methods.length && !gone &&
          (ours || (last !== undefined && last.status < 300)) &&
          text.length >= at + then.length) {
        gone = true;
        socket.end();
      }
    };
    socket.setEncoding('latin1');
    socket.setNoDelay(true);
    socket.on('data', data => {
      text += data;
      look(false);
    });
    socket.on('end', () => {
      look(true);
      socket.end();
      finish('closed');
    });
    socket.on('error', e => {
      if (e.code === 'EPIPE')
        return; // it has closed, and what it said is still to be read
      look(false);
      finish('reset');
    });
    socket.on('close', () => finish('closed'));
    socket.on('connect', async () => {
      for (let i = 0; i < bytes.length && !over; i += slice) {
        socket.write(bytes.slice(i, i + slice), 'latin1');
        if (slice < bytes.length)
          await new Promise(go => setImmediate(go));
      }
      if (stop && !over)
        socket.end();
    });
  });
}

module.exports = {talk};
