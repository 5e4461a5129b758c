'use strict';
// The query of a feed request, read as CouchDB 3.5 reads it: which values are
// refused, with which words, and which are capped. Values that concern a
// filter are left to filter.js.

const { badRequest, badArgument } = require('./reply');

const LONGEST_WAIT_MS = 60000;
const NO_LIMIT = 1e15; // divisible by every usual seq_interval, as CouchDB's
const FEEDS = {
  normal: 'normal', longpoll: 'longpoll', continuous: 'continuous',
  live: 'continuous', eventsource: 'eventsource',
};

const decode = (text) => {
  try {
    return decodeURIComponent(text.replace(/\+/g, ' '));
  } catch (err) {
    throw badRequest('invalid_url_encoding');
  }
};

/** The members of a URL's query; the last of a repeated name counts. */
function parseQuery(url) {
  const query = Object.create(null);
  const start = url.indexOf('?');
  if (start < 0) return query;
  for (const part of url.slice(start + 1).split('&')) {
    if (part === '') continue;
    const at = part.indexOf('=');
    const name = at < 0 ? part : part.slice(0, at);
    query[decode(name)] = at < 0 ? '' : decode(part.slice(at + 1));
  }
  return query;
}

function integer(text) {
  if (!/^[+-]?\d+$/.test(text)) throw badArgument();
  return Number(text);
}

function heartbeatOf(text) {
  if (text === undefined || text === 'false') return undefined;
  if (text === 'true') return LONGEST_WAIT_MS;
  if (!/^[+-]?\d+$/.test(text)) {
    throw badRequest('Invalid heartbeat value. Expecting a positive integer ' +
      'value (in milliseconds).');
  }
  if (Number(text) < 1) {
    throw badRequest('The heartbeat value should be a positive integer ' +
      '(in milliseconds).');
  }
  return Math.min(Number(text), LONGEST_WAIT_MS);
}

function limitOf(text) {
  const limit = text === undefined ? NO_LIMIT : integer(text);
  return limit < 0 ? NO_LIMIT : Math.min(limit, NO_LIMIT);
}

function intervalOf(text) {
  if (text === undefined) return 1;
  if (!/^\d+$/.test(text) || Number(text) < 1)
    throw badRequest('invalid_seq_interval');
  return Number(text);
}

function styleOf(text = 'main_only') {
  if (text === 'main_only' || text === 'all_docs') return text;
  throw Object.assign(badArgument(), { error: 'error', more: undefined,
    reason: `{function_clause,nil,\n    [{couch_changes,apply_style,\n` +
      `         [${text}]}]}` });
}

/** @param {string|undefined} lastEventId of the request's header */
function parseFeed(url, lastEventId) {
  const query = parseQuery(url);
  const feed = FEEDS[query.feed === undefined ? 'normal' : query.feed];
  if (!feed) {
    throw badRequest('Supported `feed` types: normal, continuous, live, ' +
      'longpoll, eventsource');
  }
  const timeout = query.timeout === undefined ?
    LONGEST_WAIT_MS : integer(query.timeout);
  let since = query.since === undefined ? query['last-event-id'] : query.since;
  if (since === undefined && feed === 'eventsource') since = lastEventId;
  return {
    query, feed, since,
    heartbeat: heartbeatOf(query.heartbeat),
    timeout: Math.min(timeout, LONGEST_WAIT_MS), // negative: see follow.js
    limit: limitOf(query.limit),
    interval: intervalOf(query.seq_interval),
    style: styleOf(query.style),
    descending: query.descending === 'true',
    includeDocs: query.include_docs === 'true',
    attachments: query.attachments === 'true',
    conflicts: query.conflicts === 'true',
  };
}

/** The position that `since` names in a feed that stands at `now`. */
function positionOf(since, codec, now) {
  if (since === undefined || since === '0') return 0;
  if (since === 'now') return now;
  const n = codec.parse(since);
  if (n < 0)
    throw badRequest("Malformed sequence supplied in 'since' parameter.");
  return n;
}

module.exports = { parseFeed, positionOf };
