// Requests and answers read by rules of their own, not by the code that is
// tested: whatever could be read in two ways is told as bad; but where it is to
// be lenient, only what cannot be read at all.
'use strict';

const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

// {fields: [[name, value]], end} of the lines at `at`; null: not whole.
function head(text, at) {
  const end = text.indexOf('\r\n\r\n', at);
  if (end < 0)
    return /[^\r]\n|\r[^\n]|\0/.test(text.slice(at)) ? {bad: 'a bare CR or LF'}
        : null;
  const lines = text.slice(at, end).split('\r\n');
  const first = lines.shift(), fields = [];
  if (/[\r\n\0]/.test(first))
    return {bad: 'a bare CR or LF'};
  for (const line of lines) {
    const colon = line.indexOf(':');
    const name = line.slice(0, colon), value = line.slice(colon + 1).trim();
    if (colon < 1 || !NAME.test(name) || !VALUE.test(value))
      return {bad: `a field that is none: ${JSON.stringify(line)}`};
    fields.push([name, value]);
  }
  return {first, fields, end: end + 4};
}

const all = (fields, name) =>
  fields.filter(([n]) => n.toLowerCase() === name).map(([, v]) => v);

// {kind: 'none'|'length'|'chunked', length} or {bad}.
function framing(fields, lenient) {
  const lengths = all(fields, 'content-length');
  const codings = all(fields, 'transfer-encoding');
  if (lenient && codings.length === 1 && /^chunked,?$/i.test(codings[0]))
    return {kind: 'chunked'};
  if (lenient && codings.length === 0 && lengths.length === 1 &&
      /^\d+$/.test(lengths[0]))
    return {kind: 'length', length: +lengths[0]};
  if (!lenient && fields.some(([n]) => /^(content_length|transfer[_-]encoding)$/i.test(n) &&
                           n.includes('_')))
    return {bad: 'a twin of a framing field'};
  if (lengths.length + codings.length > 1)
    return {bad: 'more than one framing'};
  if (codings.length === 1)
    return codings[0] === 'chunked' ? {kind: 'chunked'}
        : {bad: `coding ${codings[0]}`};
  if (lengths.length === 0)
    return {kind: 'none'};
  return /^(0|[1-9]\d{0,17})$/.test(lengths[0])
      ? {kind: 'length', length: +lengths[0]} : {bad: `length ${lengths[0]}`};
}

// {body, end}, {bad}, or null: not whole.
function chunks(text, at) {
  let body = '';
  for (;;) {
    const line = text.indexOf('\r\n', at);
    if (line < 0)
      return /^[0-9a-fA-F]{0,16}\r?$/.test(text.slice(at)) ? null
          : {bad: 'a chunk size'};
    const size = text.slice(at, line);
    if (!/^(0|[1-9a-fA-F][0-9a-fA-F]{0,13})$/.test(size))
      return {bad: `chunk size ${JSON.stringify(size)}`};
    const n = parseInt(size, 16), data = line + 2;
    if (text.length < data + n + 2)
      return n === 0 && text.length > data && text[data] !== '\r'
          ? {bad: 'trailers'} : null;
    if (text.slice(data + n, data + n + 2) !== '\r\n')
      return {bad: n === 0 ? 'trailers' : 'a chunk longer than its size'};
    body += text.slice(data, data + n);
    at = data + n + 2;
    if (n === 0)
      return {body, end: at};
  }
}

function bodyOf(text, h, f, ended) {
  if (f.kind === 'none')
    return {body: '', end: h.end};
  if (f.kind === 'chunked')
    return chunks(text, h.end);
  if (f.kind === 'close')
    return ended ? {body: text.slice(h.end), end: text.length} : null;
  return text.length < h.end + f.length ? null
      : {body: text.slice(h.end, h.end + f.length), end: h.end + f.length};
}

// A request at `at`: {method, target, fields, kind, body, end}, {bad}, or
// {more: true, head: null or what is known of it}.
function request(text, at, lenient = false) {
  const h = head(text, at);
  if (h === null)
    return {more: true, head: null};
  if (h.bad)
    return h;
  const line = /^([A-Za-z0-9_-]+) ([\x21-\xff]+) HTTP\/1\.[01]$/.exec(h.first);
  if (line === null || !lenient &&
      !/^[A-Z0-9_-]+ [\x21-\x7e]+ HTTP\/1\.1$/.test(h.first))
    return {bad: `first line ${JSON.stringify(h.first)}`};
  const f = framing(h.fields, lenient);
  if (f.bad)
    return f;
  if (!lenient && all(h.fields, 'host').length !== 1)
    return {bad: 'not one Host'};
  const top = {method: line[1], target: line[2], fields: h.fields,
               kind: f.kind, headEnd: h.end};
  const b = bodyOf(text, h, f, false);
  if (b === null)
    return {more: true, head: top};
  return b.bad ? b : {...top, body: b.body, end: b.end};
}

// An answer at `at` to a request of that method, likewise; ended: the
// connection has come to its end.
function answer(text, at, method, ended) {
  const h = head(text, at);
  if (h === null)
    return {more: true, head: null};
  if (h.bad)
    return h;
  const line = /^HTTP\/1\.1 ([1-5]\d\d) [\t\x20-\x7e\x80-\xff]*$/.exec(h.first);
  if (line === null)
    return {bad: `first line ${JSON.stringify(h.first)}`};
  const status = +line[1];
  let f = framing(h.fields);
  if (f.bad)
    return f;
  if (status < 200 || status === 204) {
    if (f.kind !== 'none')
      return {bad: `a framing with a ${status}`};
  } else if (status === 304 || method === 'HEAD') {
    f = {kind: 'none'};
  } else if (f.kind === 'none') {
    f = {kind: 'close'};
  }
  const top = {status, fields: h.fields, kind: f.kind, headEnd: h.end};
  const b = bodyOf(text, h, f, ended);
  if (b === null)
    return {more: true, head: top};
  return b.bad ? b : {...top, body: b.body, end: b.end};
}

module.exports = {request, answer, all};
