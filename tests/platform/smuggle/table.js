// The tables of cases: what is sent, byte for byte, and what has to become of
// it. One case is two lines or more:
//
//   NAME: EXPECTED[; EXPECTED]...
//     BYTES
//
// BYTES is parts between bars: "|" is CR LF, "||" CR LF CR LF; blanks around a
// part are not sent. Within parts: \r \n \t \s (a blank) \0 \xHH \\ \|,
// {N*TEXT} repeats, and $host, $get and others are what MACROS says.
// A line may be gone on with by one that is indented more; blanks at the joint
// are one blank.
//
// EXPECTED of a request (tables of requests):
//   400          refused with that status, the connection closed, and not one
//                byte of it went behind
//   400~         the same, but a beginning of it may have gone behind
//   closed       no answer; a beginning may have gone behind
//   101          a tunnel
//   GET /x "b" [Name: value] [-Name]
//                passed on as that method, target and body, with that field
//                once, without that one
// EXPECTED of an answer (answers.txt):
//   [HEAD] 200 "body" [Name: value] [-Name] [new] [same]
//                what the client gets; the connection behind is used again
//                (same), must not be (new)
//   cut          a beginning of an answer, then the connection is cut
//   alone        the request has a connection behind of its own
'use strict';
const fs = require('fs');
const path = require('path');

const HOST = 'a.example', CLAIM = 'app/0123456789abcdef0123456789abcdef';
const MACROS = {
  host: 'Host: ' + HOST,
  get: `GET / HTTP/1.1\r\nHost: ${HOST}`,
  post: `POST / HTTP/1.1\r\nHost: ${HOST}`,
  chunked: 'Transfer-Encoding: chunked',
  last: '0\r\n\r\n',
  close: '$close', // of an answer: the server closes behind it
  claim: CLAIM,
  ok: `HTTP/1.1 200 OK\r\nX-Drone-Claim: ${CLAIM}`
};
const LETTERS = {r: '\r', n: '\n', t: '\t', s: ' ', 0: '\0'};

function plain(text) {
  return text.replace(/\$([a-z]+)|\{(\d+)\*((?:\\.|[^}\\])*)\}|\\(x[0-9a-fA-F]{2}|.)/g,
      (all, macro, times, what, letter) => {
        if (macro !== undefined) {
          if (MACROS[macro] === undefined)
            throw new Error(`no such macro: ${all}`);
          return MACROS[macro];
        }
        if (times !== undefined)
          return plain(what).repeat(+times);
        if (letter[0] === 'x' && letter.length === 3)
          return String.fromCharCode(parseInt(letter.slice(1), 16));
        return LETTERS[letter] !== undefined ? LETTERS[letter] : letter;
      });
}

// Splits at bars that no backslash stands before.
function bytes(text) {
  const parts = text.match(/(?:\\.|[^|\\])+|\|/g) || [];
  return parts.map(p => p === '|' ? '\r\n' : plain(p.trim())).join('');
}

function expected(text) {
  const e = {text, has: [], lacks: []};
  let rest = text.replace(/\[((?:\\.|[^\]])*)\]/g, (all, field) => {
    if (field === 'new' || field === 'same' || field === 'alone')
      e.link = field;
    else if (field[0] === '-')
      e.lacks.push(field.slice(1).toLowerCase());
    else
      e.has.push(plain(field));
    return '';
  });
  rest = rest.replace(/"((?:\\.|[^"\\])*)"/, (all, body) => {
    e.body = plain(body);
    return '';
  });
  const words = rest.trim().split(/\s+/).map(plain);
  let m;
  if ((m = /^(\d{3})(~?)$/.exec(words[words.length - 1])) !== null) {
    e.status = +m[1];
    e.partly = m[2] === '~';
    e.method = words.length > 1 ? words[0] : 'GET';
  } else if (words[0] === 'closed' || words[0] === 'cut') {
    e.kind = words[0];
    e.partly = true;
  } else if (words.length === 2) {
    e.method = words[0];
    e.target = words[1];
    e.body = e.body === undefined ? '' : e.body;
  } else {
    throw new Error(`what is expected is not understood: ${text}`);
  }
  return e;
}

// [{name, file, expected: [...], bytes}]
function read(file) {
  const lines = fs.readFileSync(path.join(__dirname, file), 'latin1')
      .split('\n');
  const cases = [];
  let now = null;
  for (const line of lines) {
    if (/^\s*(#|$)/.test(line))
      continue;
    if (/^\S/.test(line)) {
      const colon = line.indexOf(': ');
      if (colon < 0)
        throw new Error(`${file}: "${line}" is not NAME: EXPECTED`);
      now = {name: line.slice(0, colon), file, text: '',
             says: line.slice(colon + 2)};
      if (cases.some(c => c.name === now.name))
        throw new Error(`${file}: two cases "${now.name}"`);
      cases.push(now);
    } else if (now === null) {
      throw new Error(`${file}: bytes without a case: ${line}`);
    } else {
      now.text += (now.text === '' ? '' : ' ') + line.trim();
    }
  }
  for (const c of cases) {
    try {
      c.bytes = bytes(c.text);
      // Semicolons within quotes and brackets are none.
      c.expected = c.says.match(/(?:"(?:\\.|[^"\\])*"|\[(?:\\.|[^\]])*\]|;\S|[^;])+/g)
          .map(s => expected(s.trim()));
    } catch (e) {
      throw new Error(`${file}: ${c.name}: ${e.message}`);
    }
  }
  return cases;
}

module.exports = {read, HOST, CLAIM};
