// Requests out of a seed to an API, an agent and a guard: each is answered as
// HTTP is, with a sentence where it is refused, or was no whole request.
//
//   fuzz.js --api A --ctl A --guard A --claim APP/CLAIM --token T
//           --drone-token T [--count N] [--seed N] [--only N]
'use strict';
const net = require('net');
const {Dice} = require('./dice.js');
const {make, apiRequest, ctlRequest, guardRequest} = require('./requests.js');

const options = {count: '2000', seed: '1'};
for (let i = 2; i + 1 < process.argv.length; i += 2)
  options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];

const AT_ONCE = 24, PATIENCE_MS = 250, LIMIT_MS = 60000;
const refusals = [400, 401, 404, 405, 408, 409, 411, 413, 414, 415, 417, 421,
                  426, 429, 431, 501, 503, 505];
const ports = [
  {name: 'api', at: options.api, request: apiRequest, more: [],
   heads: () => [['Authorization', 'Bearer ' + options.token]]},
  {name: 'agent', at: options.ctl, request: ctlRequest, more: [],
   heads: () => [['Authorization', 'Bearer ' + options['drone-token']]]},
  // Behind the right claim is an app, which need not like what it gets.
  {name: 'guard', at: options.guard, request: guardRequest, more: [502],
   heads: d => d.chance(60) ? [['X-Drone-Claim', options.claim]] : []}
];

// The final answer in what has come: null: not yet.
function parse(text, head) {
  for (;;) {
    const end = text.indexOf('\r\n\r\n');
    if (end < 0)
      return null;
    const top = text.slice(0, end), line = /^HTTP\/1\.1 (\d{3}) /.exec(top);
    if (line === null)
      return {broken: true};
    if (line[1] === '100') {
      text = text.slice(end + 4);
      continue;
    }
    const length = /\r\ncontent-length: *(\d+)/i.exec(top);
    const body = text.slice(end + 4);
    if (!head && length !== null && body.length < +length[1])
      return null;
    return {status: +line[1], top,
            body: length !== null ? body.slice(0, +length[1]) : body};
  }
}

// What came, and how it ended.
function send(port, q) {
  return new Promise(done => {
    const [host, at] = port.at.split(':');
    const socket = net.connect({host, port: +at, allowHalfOpen: true});
    let text = '', answer = null, over = false;
    const end = how => {
      if (over)
        return;
      over = true;
      clearTimeout(patience);
      clearTimeout(limit);
      socket.destroy();
      done({answer: answer || parse(text, q.head), how, text});
    };
    const patience = setTimeout(() => { if (!q.whole) socket.end(); },
                                PATIENCE_MS);
    const limit = setTimeout(() => end('time'), LIMIT_MS);
    socket.setEncoding('latin1');
    socket.on('data', piece => {
      text += piece;
      answer = parse(text, q.head);
      if (answer !== null)
        end('answered');
    });
    socket.on('end', () => end('closed'));
    socket.on('close', () => end('closed'));
    socket.on('error', e => { if (e.code !== 'EPIPE') end(e.code); });
    socket.write(q.all);
  });
}

// Why that is no answer to it, or null.
function fault(port, q, {answer, how, text}) {
  if (answer === null)
    return how === 'time' ? 'neither answered nor closed'
        : q.whole ? `no answer: ${how}` : text !== '' ? 'half an answer' : null;
  if (answer.broken)
    return 'not HTTP';
  const {status, top, body} = answer;
  if (status >= 200 && status < 300)
    return null;
  if (!refusals.includes(status) && !port.more.includes(status))
    return `status ${status}`;
  if ((status === 429 || status === 503) && !/\r\nretry-after: \d/i.test(top))
    return 'no Retry-After';
  if (q.head || q.all.subarray(0, 5).toString() === 'HEAD ')
    return null;
  if (/\r\ncontent-type: application\/json/i.test(top)) {
    try {
      const said = JSON.parse(Buffer.from(body, 'latin1').toString());
      return typeof said.error === 'string' && said.error.length > 8 ? null
          : 'no sentence';
    } catch (e) {
      return 'no JSON';
    }
  }
  return body.length > 12 ? null : 'no sentence';
}

async function main() {
  const count = +options.count, tally = {};
  let next = 0, failed = 0;
  const worker = async () => {
    while (next < count) {
      const n = next++, port = ports[n % ports.length];
      if (options.only !== undefined && n !== +options.only)
        continue;
      const q = make(new Dice(+options.seed * 1000003 + n), port);
      const result = await send(port, q);
      const why = fault(port, q, result);
      const status = result.answer !== null ? result.answer.status : 'none';
      tally[`${port.name} ${status}`] = (tally[`${port.name} ${status}`] || 0) + 1;
      if (why === null)
        continue;
      if (failed++ < 10)
        console.error(`request ${n} of seed ${options.seed} to the ${port.name}: ` +
            `${why}\n  asked ${JSON.stringify(q.all.toString('latin1').slice(0, 600))}` +
            `\n  got ${JSON.stringify(result.text.slice(0, 400))}`);
    }
  };
  await Promise.all([...Array(AT_ONCE)].map(worker));
  for (const key of Object.keys(tally).sort())
    console.log(`${key}: ${tally[key]}`);
  console.log(`requests: ${next}, wrongly answered: ${failed}`);
  process.exitCode = failed > 0 || next < count ? 1 : 0;
}
main().catch(e => { console.error(e); process.exitCode = 1; });
