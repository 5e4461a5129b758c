// Documents as nobody's program writes them, put into both databases by hand:
// each has at least one member of the wrong type or size, or none at all.
//
//   documents.js --couch URL [--count N] [--seed N]
'use strict';
const http = require('http');
const {Dice, junk} = require('./dice.js');

const options = {count: '200', seed: '1'};
for (let i = 2; i + 1 < process.argv.length; i += 2)
  options[process.argv[i].replace(/^--/, '')] = process.argv[i + 1];

// A copy: what is spoiled may be spoiled again.
const copy = value => JSON.parse(JSON.stringify(value));
const claim = 'ab'.repeat(16);
const place = {drone: '127.9.0.1:80', addr: '127.9.0.1:80', claim};
const forms = [
  {db: 'apps', id: n => `app:junk-${n}`,
   doc: {hosts: ['a.example'], command: 'x', env: {A: 'b'}, memory_mb: 64,
         want: {state: 'stopped', gen: 1, op: 'junk.1', key: '', at: 1}}},
  {db: 'apps', id: n => `route:junk-${n}`,
   doc: {app: 'junk', hosts: ['a.example'], gen: 1, state: 'live', code: 'ok',
         msg: '', to: [place], prev: [], at: 1}},
  {db: 'apps', id: n => `sys:tick:junk-${n}`,
   doc: {at: 1, boot: 'x', n: 1, addr: '127.9.0.1:81'}},
  {db: 'apps', id: n => `balancer:junk-${n}`,
   doc: {addr: '127.9.0.1:82', admin: '127.9.0.1:83', boot: 'x', version: '1'}},
  {db: 'apps', id: n => `${['what', 'app:', 'app:UPPER', 'route:', 'sys:'][n % 5]}${n}`,
   doc: {x: 1}},
  {db: 'locks', id: n => `drone:127.9.1.${n % 250}:${n + 1}`,
   doc: {addr: '127.9.0.1:80', ctl: '127.9.0.1:81', vm: claim, state: 'free',
         epoch: 1, at: 1, claim: {id: claim, app: 'junk', gen: 1, by: 'x', at: 1}}},
  {db: 'locks', id: n => `${['drone:', 'drone:x', 'host:', 'sys:tick:'][n % 4]}${n}`,
   doc: {state: 'bound', app: 7}},
  {db: 'locks', id: n => `host:junk-${n}.example`, doc: {app: 'junk', at: 1}}
];

function spoil(d, from) {
  const doc = copy(from);
  const names = Object.keys(doc);
  for (let n = 1 + d.below(3); n > 0; n--) {
    const name = d.one(names);
    const inner = doc[name];
    if (d.chance(20))
      delete doc[name];
    else if (inner !== null && typeof inner === 'object' && d.chance(50) &&
             Object.keys(inner).length > 0)
      inner[d.one(Object.keys(inner))] = copy(d.one(junk));
    else
      doc[name] = copy(d.one(junk));
  }
  if (d.chance(3))
    doc[d.one(names)] = 'z'.repeat(3 << 20);
  return d.chance(5) ? {} : doc;
}

function put(target, body, agent) {
  return new Promise((done, failed) => {
    const q = http.request(options.couch + target, {
      method: 'PUT', agent, headers: {'content-type': 'application/json'}},
                           r => {
      let text = '';
      r.on('data', piece => text += piece);
      r.on('end', () => done({status: r.statusCode, text}));
    });
    q.on('error', failed);
    q.end(body);
  });
}

async function main() {
  const d = new Dice(+options.seed * 7919), tally = {};
  const agent = new http.Agent({keepAlive: true});
  for (let n = 0; n < +options.count; n++) {
    const form = d.one(forms);
    const target = `/${form.db}/${encodeURIComponent(form.id(n))}`;
    const r = await put(target, JSON.stringify(spoil(d, form.doc)), agent);
    tally[r.status] = (tally[r.status] || 0) + 1;
    if (r.status >= 500)
      throw new Error(`${target}: ${r.status} ${r.text}`);
  }
  agent.destroy();
  console.log('documents:', JSON.stringify(tally));
  if ((tally[201] || 0) < +options.count * 0.9)
    throw new Error('too few documents were written');
}
main().catch(e => { console.error(e); process.exitCode = 1; });
