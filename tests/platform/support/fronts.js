// What stands where a balancer or the API should, for tests of deploybot.
//
//   node fronts.js foreign          answers as another app
//   node fronts.js flaky ADDR       a balancer's visitors pass through, but the
//                                   third answer of the app, and each third
//                                   after it, is a 500 instead
//   node fronts.js broken ADDR FILE the API's callers pass through while there
//                                   is no FILE, else they get 503
//
// Prints "ready ADDR:PORT".
'use strict';
const fs = require('fs');
const http = require('http');

const [mode, addr, file] = process.argv.slice(2);
let shown = 0;

function refuse(res, status, body) {
  res.writeHead(status, { 'Content-Type': 'text/plain' });
  res.end(body);
}

function pass(req, res, take) {
  const [host, port] = addr.split(':');
  const out = http.request({
    host, port, method: req.method, path: req.url, headers: req.headers,
    agent: false,
  }, take);
  out.on('error', () => res.destroy());
  res.on('close', () => out.destroy());
  req.pipe(out);
}

function through(res) {
  return (answer) => {
    res.writeHead(answer.statusCode, answer.headers);
    answer.pipe(res);
  };
}

const modes = {
  foreign(req, res) {
    refuse(res, 200,
      'app=canary-t nonce=00000000000000000000000000000000\n');
  },
  flaky(req, res) {
    pass(req, res, (answer) => {
      if (answer.statusCode === 200 && ++shown % 3 === 0) {
        answer.resume();
        refuse(res, 500, 'a bad day\n');
      } else {
        through(res)(answer);
      }
    });
  },
  broken(req, res) {
    if (fs.existsSync(file)) refuse(res, 503, 'out of order\n');
    else pass(req, res, through(res));
  },
};

const server = http.createServer(modes[mode]);
server.listen(0, '127.0.0.1', () => {
  console.log(`ready 127.0.0.1:${server.address().port}`);
});
