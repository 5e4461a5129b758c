// Tables of requests and of answers against a proxy before the recorder: what
// is passed on is one unambiguous request that means what the table says, and
// each answer goes to its asker. Each case runs whole and byte by byte, and a
// visitor who comes behind it, on a connection of his own, gets his own answer.
//
//   run.js [--subject front|balancer|haproxy] [--only NAME] [--verbose]
//
// With haproxy nothing fails but what both pass on with another meaning; all
// that differs is printed.
'use strict';
const {read, HOST, CLAIM} = require('./table.js');
const {Recorder} = require('./recorder.js');
const {talk} = require('./client.js');
const message = require('./message.js');
const subjects = require('./subjects.js');

const REQUESTS = ['framing.txt', 'chunks.txt', 'lines.txt', 'hosts.txt',
                  'fields.txt', 'sequences.txt'];
const OURS = /^(host|x-drone-claim|x-forwarded-(for|proto|host)|via|x-request-id|content-length|transfer-encoding|connection|upgrade|expect)$/;
const MOST_BYTEWISE = 3000;

const options = {subject: 'front'};
for (let i = 2; i < process.argv.length; i++) {
  const name = process.argv[i].replace(/^--/, '');
  options[name] = name === 'verbose' ? true : process.argv[++i];
}

let probes = 0;

// A visitor on a connection of his own; null, or what is wrong.
async function probe(address, recorder) {
  const target = `/probe/${++probes}`, asked = `GET ${target} 0`;
  const r = await talk(address, `GET ${target} HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
                       {methods: ['GET'], ours: true});
  const a = r.answers[0];
  if (r.bad !== null || a === undefined || r.rest !== '')
    return `the next visitor got ${JSON.stringify(r.bad || r.rest || r.end)}`;
  if (a.status !== 200 || message.all(a.fields, 'x-asked').join() !== asked)
    return `the next visitor asked ${asked}, and got ${a.status} ` +
        JSON.stringify(message.all(a.fields, 'x-asked'));
  return null;
}

// What is never to be in a request that was passed on.
function hygiene(r, wanted) {
  const faults = [];
  const names = r.fields.map(([name]) => name.toLowerCase().replace(/_/g, '-'));
  for (const name of new Set(names))
    if (OURS.test(name) && names.filter(n => n === name).length > 1)
      faults.push(`${name} is there more than once`);
  if (names.some(n => n.startsWith('x-drone-') && n !== 'x-drone-claim'))
    faults.push('a field of ours from the client');
  if (message.all(r.fields, 'x-drone-claim').join() !== CLAIM)
    faults.push('not our claim');
  for (const name of ['keep-alive', 'te', 'trailer', 'proxy-connection',
                      'http2-settings'])
    if (names.includes(name))
      faults.push(`${name} was passed on`);
  for (const name of ['connection', 'upgrade'])
    if (names.includes(name) && wanted.status !== 101)
      faults.push(`${name} was passed on`);
  if (!names.includes('x-request-id'))
    faults.push('no X-Request-Id');
  return faults;
}

function fieldFaults(fields, wanted) {
  const faults = [];
  for (const field of wanted.has) {
    const colon = field.indexOf(':'), name = field.slice(0, colon);
    const values = message.all(fields, name.toLowerCase());
    if (values.length !== 1 || values[0] !== field.slice(colon + 1).trim())
      faults.push(`${name} is ${JSON.stringify(values)}`);
  }
  for (const name of wanted.lacks)
    if (message.all(fields, name).length !== 0)
      faults.push(`${name} is there`);
  return faults;
}

// Why the case did not end as the table says; [] when it did.
function judge(c, r, recorder, strict) {
  const faults = [], passed = [], parts = [];
  for (const conn of recorder.conns) {
    passed.push(...conn.requests.filter(q => !q.target.startsWith('/probe/')));
    if (conn.bad !== null)
      faults.push(`behind came ${conn.bad}`);
    if (!conn.alive && conn.text !== '')
      parts.push(conn.text);
  }
  const wanted = c.expected.filter(e => e.method !== undefined && e.target ||
                                        e.status === 101);
  const last = c.expected[c.expected.length - 1];
  if (passed.length !== wanted.length)
    faults.push(`${passed.length} requests came behind: ` + JSON.stringify(
        passed.map(q => `${q.method} ${q.target} ${q.body.slice(0, 80)}`)));
  wanted.forEach((e, i) => {
    const q = passed[i];
    if (q === undefined || e.status === 101)
      return;
    if (q.method !== e.method || q.target !== e.target || q.body !== e.body)
      faults.push(`what came behind was ${q.method} ${q.target} ` +
                  JSON.stringify(q.body.slice(0, 200)));
    faults.push(...fieldFaults(q.fields, e));
    if (strict)
      faults.push(...hygiene(q, e));
  });
  if (parts.length !== 0 && !last.partly)
    faults.push(`a part came behind: ${JSON.stringify(parts[0].slice(0, 200))}`);
  if (r.bad !== null)
    faults.push(`an answer is none: ${r.bad}`);
  if (r.rest !== '')
    faults.push(`behind the answers came ${JSON.stringify(r.rest.slice(0, 200))}`);
  if (r.end === 'time')
    faults.push('neither answered nor closed');
  c.expected.forEach((e, i) => {
    const a = r.answers[i];
    if (e.kind === 'closed') {
      if (a !== undefined)
        faults.push(`answered ${a.status}`);
    } else if (a === undefined) {
      faults.push(`no answer, ${r.end}`);
    } else if (e.target !== undefined) {
      const asked = `${e.method} ${e.target} ${e.body.length}`;
      if (a.status !== 200 || message.all(a.fields, 'x-asked').join() !== asked)
        faults.push(`answered ${a.status} to ` +
                    `"${message.all(a.fields, 'x-asked')}"`);
    } else if (a.status !== e.status) {
      faults.push(`answered ${a.status}`);
    }
  });
  return faults;
}

async function requestCase(c, slice, subject, recorder) {
  const last = c.expected[c.expected.length - 1];
  const methods = c.expected.filter(e => e.kind !== 'closed')
      .map(e => e.target !== undefined ? e.method : 'GET');
  recorder.begin();
  const r = await talk(subject.address, c.bytes, {
    methods, slice, ours: last.target !== undefined || last.status === 101,
    stop: last.kind === 'closed', then: last.status === 101 ? 'tunnel' : ''});
  if (last.status === 101 && r.rest === 'tunnel')
    r.rest = '';
  const faults = [];
  if (!await recorder.settled(20000))
    faults.push('a part of a request stays behind, its connection open');
  const wrong = await probe(subject.address, recorder);
  faults.push(...judge(c, r, recorder, subject.name !== 'haproxy'));
  if (wrong !== null)
    faults.push(wrong);
  return {faults, r, passed: recorder.conns.flatMap(n => n.requests)
      .filter(q => !q.target.startsWith('/probe/'))};
}

// What the client has of an answer against what the table says.
function judgeAnswer(e, r) {
  const faults = [], a = r.answers[0];
  if (r.bad !== null)
    faults.push(`the answer is none: ${r.bad}`);
  if (r.end === 'time')
    faults.push('neither answered nor closed');
  if (e.kind === 'cut') {
    if (a !== undefined)
      faults.push(`the answer is whole: ${a.status} ${JSON.stringify(a.body)}`);
    return faults;
  }
  if (a === undefined)
    return [...faults, `no answer, ${r.end}`];
  if (a.status !== e.status)
    faults.push(`answered ${a.status} ${JSON.stringify(a.body.slice(0, 200))}`);
  if (e.body !== undefined && a.body !== e.body)
    faults.push(`the body is ${JSON.stringify(a.body.slice(0, 200))}`);
  if (r.rest !== '')
    faults.push(`behind the answer came ${JSON.stringify(r.rest.slice(0, 200))}`);
  const lacks = ['x-drone-claim', ...e.lacks];
  return [...faults, ...fieldFaults(a.fields, {...e, lacks})];
}

async function answerCase(c, slice, subject, recorder) {
  const e = c.expected[0], faults = [];
  const close = c.bytes.endsWith('$close');
  recorder.begin();
  // The connection that will be used is one that stays.
  let wrong = await probe(subject.address, recorder);
  if (wrong !== null)
    faults.push(`before: ${wrong}`);
  const before = recorder.conns.filter(n => n.alive).length;
  recorder.script = {target: '/case', close, slice,
                     bytes: close ? c.bytes.slice(0, -6) : c.bytes};
  const r = await talk(subject.address,
                       `${e.method || 'GET'} /case HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
                       {methods: [e.method || 'GET'], ours: true});
  const conn = recorder.conns.find(n =>
    n.requests.some(q => q.target === '/case'));
  faults.push(...judgeAnswer(e, r));
  wrong = await probe(subject.address, recorder);
  if (wrong !== null)
    faults.push(wrong);
  if (conn === undefined) {
    faults.push('nobody asked behind');
  } else {
    const again = conn.requests[conn.requests.length - 1].target !== '/case';
    if (subject.name !== 'haproxy' && e.link === 'new' && again)
      faults.push('the connection behind is used again');
    if (subject.name !== 'haproxy' && e.link === 'same' && !again)
      faults.push('the connection behind is not used again');
    if (conn.bad !== null)
      faults.push(`behind came ${conn.bad}`);
  }
  if (before === 0)
    faults.push('no connection behind is kept');
  return {faults, r, passed: []};
}

function said(outcome) {
  const answers = outcome.r.answers.map(a => a.status).join(' ') || outcome.r.end;
  const passed = outcome.passed.map(q =>
    `${q.method} ${q.target}${q.body ? ` ${JSON.stringify(q.body.slice(0, 40))}` : ''}`);
  return [answers, ...passed].join(' | ');
}

async function main() {
  const recorder = new Recorder();
  const behind = await recorder.listen();
  const subject = await subjects[options.subject](behind);
  const compare = subject.name === 'haproxy';
  let ran = 0, failed = 0;
  const cases = [...REQUESTS.flatMap(f => read(f).map(c => [c, requestCase])),
                 ...read('answers.txt').map(c => [c, answerCase])];
  for (const [c, run] of cases) {
    if (options.only !== undefined && options.only !== c.name)
      continue;
    const slices = [c.bytes.length || 1];
    if (c.bytes.length <= MOST_BYTEWISE && !compare)
      slices.push(1);
    for (const slice of slices) {
      const outcome = await run(c, slice, subject, recorder);
      ran++;
      if (outcome.faults.length === 0 && !options.verbose)
        continue;
      if (outcome.faults.length !== 0)
        failed++;
      console.log(`${c.file}: ${c.name}${slice === 1 ? ' (byte by byte)' : ''}: ` +
          `${c.says} => ${said(outcome)}\n    ${outcome.faults.join('\n    ')}`);
    }
  }
  if (!await subject.end() || /Sanitizer|runtime error/.test(subject.log())) {
    console.log(`${subject.name} did not end well:\n${subject.log()}`);
    failed++;
  }
  recorder.close();
  console.log(`${subject.name}: ${cases.length} cases, ${ran} runs, ` +
              `${failed} ${compare ? 'differ' : 'failed'}`);
  process.exit(failed !== 0 && !compare || ran === 0 ? 1 : 0);
}
main().catch(e => { console.error(e); process.exit(1); });
