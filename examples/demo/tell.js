'use strict';
// What the demo says, and how it waits for what it has said would come.

const LOOK_MS = 50;
const WAIT_MS = 60000; // for any one thing; a healthy run is far from it

function say(mark, text) {
  const now = new Date();
  const pad = (n, digits) => String(n).padStart(digits, '0');
  console.log('%s:%s:%s.%s %s %s', pad(now.getHours(), 2),
    pad(now.getMinutes(), 2), pad(now.getSeconds(), 2),
    pad(now.getMilliseconds(), 3), mark, text);
}

let chapters = 0;

/** Begins a chapter of the story. */
function chapter(text) {
  console.log('');
  say('==', `${++chapters}. ${text}`);
}

const tell = (text) => say('  ', text);

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

const many = (n, word) => `${n} ${word}${n === 1 ? '' : 's'}`;

/** Fails the demo with a sentence. */
function must(so, text) {
  if (!so) throw new Error(text);
}

/** Waits until check() is true, or a promise of it; resolves to how long that
 *  took in milliseconds. A check that throws is not true yet. `alive` says
 *  whether the story goes on. */
function waiter(alive) {
  return async (what, check, mostMs = WAIT_MS) => {
    const beganMs = Date.now();
    for (;;) {
      let why = '';
      try {
        if (await check()) return Date.now() - beganMs;
      } catch (err) {
        why = `: ${err.message}`;
      }
      if (!alive()) throw new Error('the demo is over');
      if (Date.now() - beganMs > mostMs)
        throw new Error(`${what}, in ${seconds(mostMs)}${why}`);
      await new Promise((done) => { setTimeout(done, LOOK_MS); });
    }
  };
}

module.exports = { chapter, many, must, say, seconds, tell, waiter };
