// What became of a case against what its table says: a list of faults.
'use strict';
const {CLAIM} = require('./table.js');
const message = require('./message.js');

const OURS = /^(host|x-drone-claim|x-forwarded-(for|proto|host)|via|x-request-id|content-length|transfer-encoding|connection|upgrade|expect)$/;

const text = value => JSON.stringify(value.slice(0, 200));
const isProbe = q => q.target.startsWith('/probe/');
const passedOf = recorder =>
  recorder.conns.flatMap(c => c.requests).filter(q => !isProbe(q))
      .sort((a, b) => a.number - b.number);

// What is never to be in a request that was passed on.
function hygiene(r) {
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
                      'http2-settings', 'connection', 'upgrade'])
    if (names.includes(name))
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
      faults.push(`${name} is ${text(values)}`);
  }
  for (const name of wanted.lacks)
    if (message.all(fields, name).length !== 0)
      faults.push(`${name} is there`);
  return faults;
}

// What came behind: nothing but what is expected, and that as it is.
function behind(c, recorder) {
  const faults = [], passed = passedOf(recorder);
  const wanted = c.expected.filter(e => e.target || e.status === 101);
  for (const conn of recorder.conns) {
    if (conn.bad !== null)
      faults.push(`behind came ${conn.bad}`);
    if (!conn.alive && conn.text !== '' &&
        !c.expected[c.expected.length - 1].partly)
      faults.push(`a part came behind: ${text(conn.text)}`);
  }
  if (passed.length !== wanted.length)
    faults.push(`${passed.length} requests came behind: ` + JSON.stringify(
        passed.map(q => `${q.method} ${q.target} ${q.body.slice(0, 80)}`)));
  wanted.forEach((e, i) => {
    const q = passed[i];
    if (q === undefined || e.status === 101)
      return;
    if (q.method !== e.method || q.target !== e.target || q.body !== e.body)
      faults.push(`what came behind was ${q.method} ${q.target} ${text(q.body)}`);
    faults.push(...fieldFaults(q.fields, e),
                ...(recorder.lenient ? [] : hygiene(q)));
  });
  return faults;
}

// What the client got of r: each answer is his own.
function answered(c, r) {
  const faults = [];
  if (r.bad !== null)
    faults.push(`an answer is none: ${r.bad}`);
  if (r.rest !== '')
    faults.push(`behind the answers came ${text(r.rest)}`);
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

// Of answers.txt: what the client has.
function shown(e, r) {
  const faults = [], a = r.answers[0];
  if (r.bad !== null)
    faults.push(`the answer is none: ${r.bad}`);
  if (r.end === 'time')
    faults.push('neither answered nor closed');
  if (e.kind === 'cut') {
    if (a !== undefined)
      faults.push(`the answer is whole: ${a.status} ${text(a.body)}`);
    return faults;
  }
  if (a === undefined)
    return [...faults, `no answer, ${r.end}`];
  if (a.status !== e.status)
    faults.push(`answered ${a.status} ${text(a.body)}`);
  if (e.body !== undefined && a.body !== e.body)
    faults.push(`the body is ${text(a.body)}`);
  if (r.rest !== '')
    faults.push(`behind the answer came ${text(r.rest)}`);
  const lacks = ['x-drone-claim', ...e.lacks];
  return [...faults, ...fieldFaults(a.fields, {...e, lacks})];
}

// Of answers.txt: whether the connection behind was used again.
function kept(e, conn) {
  if (conn === undefined)
    return ['nobody asked behind'];
  const again = conn.requests[conn.requests.length - 1].target !== '/case';
  if (e.link === 'new' && again)
    return ['the connection behind is used again'];
  if (e.link === 'same' && !again)
    return ['the connection behind is not used again'];
  return conn.bad !== null ? [`behind came ${conn.bad}`] : [];
}

module.exports = {behind, answered, shown, kept, passedOf};
