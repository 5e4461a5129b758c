// A mail server for tests: keeps what it is given.
//
//   node smtp.js DIR [--port N] [--tls KEY CERT] [--user NAME PASSWORD]
//
// Prints "ready PORT". A mail is DIR/N.eml, in the order they came, behind two
// lines of its envelope: "from <A>" and "to <B>". With --tls STARTTLS is
// offered, and with --user nobody is heard who is not that user. The file
// DIR/answer, read for each mail, says what is refused:
//   rcpt A CODE    this receiver, with that code
//   data CODE      what was sent
'use strict';
const fs = require('fs');
const net = require('net');
const path = require('path');
const tls = require('tls');

const [dir, ...rest] = process.argv.slice(2);
const option = (name, count) => {
  const at = rest.indexOf(name);
  return at < 0 ? null : rest.slice(at + 1, at + 1 + count);
};
const port = Number((option('--port', 1) || ['0'])[0]);
const files = option('--tls', 2);
const user = option('--user', 2);
let mails = 0;

function answers() {
  try {
    return fs.readFileSync(path.join(dir, 'answer'), 'utf8').trim().split(' ');
  } catch {
    return [''];
  }
}

function keep(mail) {
  const name = path.join(dir, `${++mails}.eml`);
  fs.writeFileSync(`${name}.new`,
    `from ${mail.from}\nto ${mail.to}\n${mail.data}`, 'latin1');
  fs.renameSync(`${name}.new`, name);
}

function talk(socket, secure) {
  const mail = { from: '', to: '', data: '' };
  let input = '', inData = false, inAuth = false, known = user === null;
  const say = (line) => socket.write(`${line}\r\n`);
  const data = (line) => {
    if (line !== '.') {
      mail.data += `${line.startsWith('.') ? line.slice(1) : line}\r\n`;
      return;
    }
    const [what, code] = answers();
    inData = false;
    if (what === 'data') return say(`${code} not now`);
    keep(mail);
    say('250 kept');
  };
  const rcpt = (line) => {
    const [what, who, code] = answers();
    mail.to = line.slice('RCPT TO:'.length);
    say(what === 'rcpt' && mail.to === `<${who}>` ? `${code} no` : '250 ok');
  };
  const hello = () => {
    if (files !== null && !secure) say('250-STARTTLS');
    if (user !== null) say('250-AUTH PLAIN');
    say('250 8BITMIME');
  };
  const authenticate = (word) => {
    inAuth = false;
    known = Buffer.from(word, 'base64').toString() === `\0${user.join('\0')}`;
    say(known ? '235 welcome' : '535 who are you');
  };
  const command = (line) => {
    const verb = line.split(/[ :]/)[0].toUpperCase();
    if (verb === 'EHLO') return hello();
    if (verb === 'STARTTLS' && files !== null) return upgrade();
    if (verb === 'AUTH' && user !== null) {
      inAuth = true;
      return say('334 ');
    }
    if (verb === 'QUIT') return socket.end('221 bye\r\n');
    if (!known) return say('530 say who you are');
    if (verb === 'MAIL') {
      mail.from = line.slice('MAIL FROM:'.length).split(' ')[0];
      return say('250 ok');
    }
    if (verb === 'RCPT') return rcpt(line);
    if (verb !== 'DATA') return say('500 what?');
    inData = true;
    mail.data = '';
    return say('354 go on');
  };
  const upgrade = () => {
    say('220 go on');
    socket.removeAllListeners('data');
    talk(new tls.TLSSocket(socket, {
      isServer: true,
      key: fs.readFileSync(files[0]),
      cert: fs.readFileSync(files[1]),
    }), true);
  };
  socket.on('error', () => socket.destroy());
  socket.on('data', (bytes) => {
    input += bytes.toString('latin1');
    for (let end; (end = input.indexOf('\r\n')) >= 0;) {
      const line = input.slice(0, end);
      input = input.slice(end + 2);
      if (inData) data(line);
      else if (inAuth) authenticate(line);
      else command(line);
    }
  });
  if (!secure) say('220 a sink');
}

const server = net.createServer((socket) => talk(socket, false));
server.listen(port, '127.0.0.1', () => {
  console.log(`ready ${server.address().port}`);
});
