// Requests that are nearly right: one that the port takes, and up to three
// things wrong with it, and sometimes its bytes.
'use strict';
const {junk, deep} = require('./dice.js');

const hex = d => [...Array(32)].map(() => d.below(16).toString(16)).join('');

function bodyOf(d, members) {
  const body = {};
  for (const [name, value] of Object.entries(members))
    if (!d.chance(8))
      body[name] = value;
  return body;
}

// What the three ports take. Names are such that what is live is not meant.
function apiRequest(d) {
  const app = 'fuzz-' + d.one(['a', 'b', 'c', 'd', 'never']);
  const create = {command: d.one(['exit 0', 'sleep 1000', 'x']), env: {A: 'b'},
                  hosts: [`${app}.example`], memory_mb: 64};
  return d.one([
    () => ['GET', '/apps'], () => ['GET', `/apps/${app}`],
    () => ['POST', `/apps/${app}`, bodyOf(d, create)],
    () => ['POST', `/apps/${app}`, bodyOf(d, create)],
    () => ['POST', '/apps/fuzz-never/start', {force: true, key: 'k'}],
    () => ['POST', `/apps/${app}/stop`, {}], () => ['DELETE', `/apps/${app}`],
    () => ['GET', `/apps/${app}/log?bytes=${d.one([0, 1, 'x', 99999999999])}`],
    () => ['GET', `/ops/fuzz-never.${d.one([0, 1, -1, 'x'])}?wait=1`],
    () => ['GET', '/drones'], () => ['GET', '/maintenance'],
    () => ['PUT', '/maintenance', {mode: 'off', msg: 'm', until: null}],
    () => ['GET', '/healthz'], () => ['GET', '/metrics'],
    () => ['GET', '/' + encodeURIComponent(d.text(20))]
  ])();
}

function ctlRequest(d) {
  const claim = hex(d), vm = hex(d), epoch = d.below(1000);
  return d.one([
    () => ['GET', '/state'], () => ['GET', '/log?bytes=100'],
    () => ['GET', '/healthz'], () => ['GET', '/metrics'],
    () => ['POST', '/bind', bodyOf(d, {claim, epoch, vm, app: 'x', gen: 1})],
    () => ['POST', '/start', bodyOf(d, {claim, command: 'x', env: {}})],
    () => ['POST', '/unbind', bodyOf(d, {claim, epoch})],
    () => ['POST', '/fence', bodyOf(d, {epoch, vm})]
  ])();
}

function guardRequest(d) {
  return d.one([
    () => ['GET', '/'], () => ['GET', '/.well-known/drone'],
    () => ['POST', '/form', {a: 'b'}], () => ['GET', '/a/b?c=d#e']
  ])();
}

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS',
                 'TRACE', 'CONNECT', 'get', 'G\u00e9T', 'X'.repeat(100), '', ' ',
                 'PRI', 'M-SEARCH', 'GET\t'];
const versions = ['HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/1.2', 'HTTP/11',
                  'http/1.1', 'HTTP/1.1 ', '', 'ICY'];
const oddTargets = ['*', '//', '/../../etc/passwd', '/%', '/%0', '/%00', '/%zz',
                    'http://other.example/', 'http://a@b/', 'apps', '',
                    '/' + 'a'.repeat(9000), '/' + 'b'.repeat(20000), '/\u0001',
                    '/ x', '/apps/..', '/apps//start', '/apps/UPPER',
                    '/apps/' + 'c'.repeat(200), '/?' + '&'.repeat(3000),
                    '/apps/a%2fb'];
const lengths = ['-1', '1e3', '0x10', '', ' ', '5, 5', '99999999999999999999',
                 '007', '+3', '1 2'];
const oddHeads = d => d.one([
  () => ['Host', 'second.example'], () => ['Host', ''],
  () => ['Host', 'a b'], () => ['', 'no name'], () => ['A b', 'c'],
  () => ['X-Zero', 'a\u0000b'], () => ['X-Bare', 'a\rb'],
  () => ['X-Fold', 'a\r\n b'], () => ['X-Long', 'z'.repeat(d.below(40000))],
  () => ['Connection', 'close, upgrade, x-drone-claim'],
  () => ['Upgrade', 'websocket'], () => ['Expect', '100-continue'],
  () => ['Expect', 'miracles'], () => ['Authorization', 'Bearer other'],
  () => ['X-Drone-Claim', 'other/' + 'f'.repeat(32)],
  () => ['TE', 'trailers'], () => ['Trailer', 'Content-Length'],
  () => [d.text(12), d.text(40)], () => ['Content-Type', 'text/html']
])();

const wrongs = {
  method(d, q) { q.method = d.one(methods); },
  target(d, q) { q.target = d.one(oddTargets); },
  query(d, q) { q.target += '?' + encodeURIComponent(d.text(30)); },
  bytes(d, q) { q.target = '/' + d.text(60); },
  version(d, q) { q.version = d.one(versions); },
  auth(d, q) {
    q.heads = q.heads.filter(h => h[0] !== 'Authorization');
    if (d.chance(70))
      q.heads.push(['Authorization', d.one(['Bearer', 'Basic eDp5', 'Bearer x',
                                            d.text(30)])]);
  },
  noHost(d, q) { q.heads = q.heads.filter(h => h[0] !== 'Host'); },
  head(d, q) { q.heads.splice(d.below(q.heads.length + 1), 0, oddHeads(d)); },
  many(d, q) {
    for (let n = d.below(400); n > 0; n--)
      q.heads.push(['X-' + n, 'v']);
  },
  length(d, q) { q.length = d.one(lengths); q.whole = false; },
  twice(d, q) {
    q.heads.push(['Transfer-Encoding', d.one(['chunked', 'gzip', 'identity',
                                              'chunked, chunked', 'xchunked'])]);
    q.whole = false;
  },
  chunked(d, q) {
    const text = JSON.stringify(q.body === undefined ? {} : q.body);
    const size = d.one([text.length.toString(16), 'zz', '-1', 'ffffffffffffffffff',
                        '0x5', text.length.toString(16) + ';' + d.text(20)]);
    q.raw = `${size}\r\n${text}\r\n0\r\n${d.chance(30) ? 'X: y\r\n' : ''}\r\n`;
    q.length = null;
    q.heads.push(['Transfer-Encoding', 'chunked']);
    q.whole = false;
  },
  member(d, q) {
    const names = ['command', 'env', 'hosts', 'memory_mb', 'force', 'key',
                   'mode', 'msg', 'until', 'claim', 'epoch', 'vm', 'app', 'gen',
                   '', 'x', '__proto__'];
    const body = typeof q.body === 'object' && q.body !== null ? q.body : {};
    q.body = {...body, [d.one(names)]: d.one(junk)};
  },
  host(d, q) { q.body = {command: 'x', hosts: [d.one(junk), 'a.example']}; },
  env(d, q) { q.body = {command: 'x', env: {[d.text(10)]: d.one(junk)}}; },
  body(d, q) { q.body = d.one(junk); },
  text(d, q) {
    q.raw = d.one([
      d.text(200), '{', '{"a":1,"a":2}', '{"mode":"off"', '\ufeff{}', '{}{}',
      deep(3000), '{"command":"' + 'x'.repeat(100000) + '"}', 'null', '[',
      '{"a":' + '9'.repeat(2000) + '}', '"\\ud800"', 'x'.repeat(400000)
    ]);
  }
};

// Bytes out of order: what is meant is anybody's guess.
function shake(d, bytes) {
  for (let n = 1 + d.below(4); n > 0; n--) {
    const at = d.below(bytes.length + 1);
    const head = bytes.subarray(0, at), tail = bytes.subarray(at);
    const odd = Buffer.from(d.text(6), 'latin1');
    const cut = tail.subarray(Math.min(tail.length, 1 + d.below(8)));
    bytes = d.one([
      () => Buffer.concat([head, odd, tail]), () => Buffer.concat([head, cut]),
      () => Buffer.concat([head, odd, cut]), () => head,
      () => Buffer.concat([head, tail, tail.subarray(0, 40)])
    ])();
  }
  return bytes;
}

function make(d, port) {
  const [method, target, body] = port.request(d);
  const q = {method, target, body, version: 'HTTP/1.1', whole: true,
             heads: [['Host', port.at], ...port.heads(d)]};
  for (let n = d.below(4); n > 0; n--)
    d.one(Object.values(wrongs))(d, q);
  let text = q.raw !== undefined ? q.raw
      : q.body !== undefined ? JSON.stringify(q.body) : '';
  // Bytes beyond 255 are UTF-8, all others are what they are.
  const bytes = /[^\u0000-\u00ff]/.test(text) ? Buffer.from(text)
                                              : Buffer.from(text, 'latin1');
  if (q.length === undefined && (bytes.length > 0 || q.method === 'POST'))
    q.heads.push(['Content-Length', bytes.length]);
  else if (typeof q.length === 'string')
    q.heads.push(['Content-Length', q.length]);
  text = `${q.method} ${q.target} ${q.version}\r\n` +
      q.heads.map(h => `${h[0]}: ${h[1]}\r\n`).join('') + '\r\n';
  let all = Buffer.concat([Buffer.from(text, 'latin1'), bytes]);
  if (d.chance(25)) {
    all = shake(d, all);
    q.whole = false;
  }
  return {all, whole: q.whole, head: q.method === 'HEAD'};
}

module.exports = {make, apiRequest, ctlRequest, guardRequest};
