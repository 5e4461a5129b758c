// One case: sent, and what became of it.
'use strict';
const {HOST} = require('./table.js');
const {talk} = require('./client.js');
const judge = require('./judge.js');
const message = require('./message.js');

let probes = 0;

// A visitor on a connection of his own; [], or what is wrong.
async function probe(address) {
  const target = `/probe/${++probes}`, asked = `GET ${target} 0`;
  const r = await talk(address, `GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
                       {methods: ['GET'], ours: true});
  const a = r.answers[0];
  if (r.bad !== null || a === undefined || r.rest !== '')
    return [`the next visitor got ${JSON.stringify(r.bad || r.rest || r.end)}`];
  const got = message.all(a.fields, 'x-asked').join();
  return a.status === 200 && got === asked ? []
      : [`the next visitor asked ${asked}, and got ${a.status} to "${got}"`];
}

// Each answers {faults, r: what the client got, passed: requests behind,
// probe: faults of the next visitor}.
async function requestCase(c, slice, subject, recorder) {
  const last = c.expected[c.expected.length - 1];
  const tunnel = last.status === 101;
  const methods = c.expected.filter(e => e.kind !== 'closed')
      .map(e => e.target !== undefined ? e.method : 'GET');
  recorder.begin();
  const r = await talk(subject.address, c.bytes, {
    methods, slice, ours: last.target !== undefined || tunnel,
    stop: last.kind === 'closed', then: tunnel ? 'tunnel' : ''});
  if (tunnel && r.rest === 'tunnel')
    r.rest = '';
  const faults = [];
  if (!await recorder.settled(20000))
    faults.push('a part of a request stays behind, its connection open');
  const after = await probe(subject.address);
  faults.push(...judge.behind(c, recorder), ...judge.answered(c, r), ...after);
  return {faults, r, passed: judge.passedOf(recorder), probe: after};
}

async function answerCase(c, slice, subject, recorder) {
  const e = c.expected[0], method = e.method || 'GET';
  const close = c.bytes.endsWith('$close');
  recorder.begin();
  // The connection that will be used is one that stays.
  const faults = (await probe(subject.address)).map(f => `before: ${f}`);
  if (!recorder.conns.some(n => n.alive))
    faults.push('no connection behind is kept');
  recorder.script = {target: '/case', close, slice,
                     bytes: close ? c.bytes.slice(0, -6) : c.bytes};
  const r = await talk(subject.address,
                       `${method} /case HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
                       {methods: [method], ours: true});
  const conn = recorder.conns.find(n =>
    n.requests.some(q => q.target === '/case'));
  faults.push(...judge.shown(e, r));
  const after = await probe(subject.address);
  faults.push(...after, ...judge.kept(e, conn));
  return {faults, r, passed: [], probe: after};
}

module.exports = {requestCase, answerCase};
