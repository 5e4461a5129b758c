'use strict';
// What an app of the demo is: a page that says whose it is. SITE_NONCE, which
// only this demo's apps know, shows that an answer is really theirs.

const http = require('http');

const { APP_NAME: name, PORT: port, SITE_NONCE: nonce } = process.env;
const began = new Date().toISOString().slice(11, 19);
let visits = 0;

function page() {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>${name}</title>
<style>body { font: 1.2rem/1.6 system-ui; margin: 4rem auto; max-width: 32rem }
</style>
<!-- site=${name} nonce=${nonce} process=${process.pid} -->
<h1>${name}</h1>
<p>This is the site of <b>${name}</b>, and of nobody else.</p>
<p>It runs as process ${process.pid} since ${began} UTC; this is visit
${visits}.</p>
</html>
`;
}

http.createServer((request, response) => {
  visits++;
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end(page());
}).listen(Number(port), '127.0.0.1');
