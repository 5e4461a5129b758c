// Visitors of one host at one balancer, each on a connection that it keeps, as
// fast as answers come: node load.js ADDR HOST TEXT [VISITORS]. Ends with
// SIGTERM, and prints how many answers were the app's own (they begin with
// TEXT), and what else came.
"use strict";
const http = require("http");

const [addr, host, text, visitors = "4"] = process.argv.slice(2);
const [name, port] = addr.split(":");
const seen = { ok: 0, wrong: 0, connections: 0, first: "" };
let ending = false;

function other(what) {
  seen.wrong++;
  if (seen.first === "") seen.first = what;
}

function ask(agent) {
  return new Promise((resolve) => {
    const request = http.get(
      { host: name, port, path: "/", agent, headers: { Host: host } },
      (answer) => {
        let body = "";
        answer.setEncoding("utf8");
        answer.on("data", (part) => { body += part; });
        answer.on("error", (error) => { other(String(error)); resolve(); });
        answer.on("end", () => {
          if (answer.statusCode === 200 && body.startsWith(text)) seen.ok++;
          else other(`${answer.statusCode} ${body.slice(0, 200)}`);
          resolve();
        });
      });
    request.on("socket", (socket) => {
      if (!socket.counted) seen.connections++;
      socket.counted = true;
    });
    request.on("error", (error) => { other(String(error)); resolve(); });
  });
}

async function visitor() {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  while (!ending) {
    await ask(agent);
    await new Promise((resolve) => { setTimeout(resolve, 2); });
  }
  agent.destroy();
}

process.on("SIGTERM", () => { ending = true; });
Promise.all(Array.from({ length: Number(visitors) }, visitor)).then(() => {
  process.stdout.write(`${JSON.stringify(seen)}\n`);
});
process.stderr.write("begun\n");
