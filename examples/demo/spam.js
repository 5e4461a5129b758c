'use strict';
// The burst of 2013: scripts that ask for `start` of the same apps again and
// again, without a pause, each of them in a loop. Half of them want a new drone
// each time. A process of its own, as others' scripts are:
//
//   node spam.js URL TOKEN-FILE SCRIPTS MILLISECONDS APP...
//
// It prints { calls, perSecond, codes: { STATUS: n }, joined } as JSON.

const fs = require('fs');

const { Couch } = require('./couch');

const [url, tokenFile, scripts, ms, ...apps] = process.argv.slice(2);
const token = fs.readFileSync(tokenFile, 'utf8').trim();
const seen = { calls: 0, codes: {}, joined: 0 };
const beganMs = Date.now();

async function script(n) {
  const api = new Couch(url, { authorization: `Bearer ${token}` });
  const app = apps[n % apps.length];
  const body = Math.floor(n / apps.length) % 2 === 0 ? {} : { force: true };
  while (Date.now() - beganMs < Number(ms)) {
    const { status, json } = await api.call('POST', `/apps/${app}/start`, body);
    seen.calls++;
    seen.codes[status] = (seen.codes[status] || 0) + 1;
    if (json.coalesced) seen.joined++;
  }
  api.close();
}

Promise.all(Array.from({ length: Number(scripts) }, (_, n) => script(n)))
  .then(() => {
    seen.perSecond = Math.round(seen.calls * 1000 / (Date.now() - beganMs));
    console.log(JSON.stringify(seen));
  });
