'use strict';
// The ends of child processes. The children are started "detached", in process
// groups of their own, so that a Ctrl-C reaches the demo alone, which ends them
// in order.

const GRACE_MS = 2000;

/** Resolves, never rejects, to how a child ended: "exit code 1", "SIGKILL", or
 *  why it could not be started. */
function exitOf(child) {
  return new Promise((done) => {
    child.once('error', (err) => done(err.message));
    child.once('exit', (code, signal) => done(signal || `exit code ${code}`));
  });
}

function isOver(child) {
  return child.pid === undefined || child.exitCode !== null ||
         child.signalCode !== null;
}

/** Ends a child by a signal, by SIGKILL if that does not help, and resolves
 *  when it is gone. */
async function endChild(child, signal) {
  if (isOver(child)) return;
  const gone = exitOf(child);
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), GRACE_MS);
  await gone;
  clearTimeout(timer);
}

module.exports = { endChild, exitOf };
