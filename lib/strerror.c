/*
 * Names of results and states.
 */
#include "changefeed/changefeed.h"

const char *changefeed_strerror(int result) {
  switch (result) {
  case CHANGEFEED_OK:
    return "success";
  case CHANGEFEED_TIMEOUT:
    return "the time ran out";
  case CHANGEFEED_END:
    return "the end";
  case CHANGEFEED_ERR_INVALID:
    return "invalid argument";
  case CHANGEFEED_ERR_STATE:
    return "not possible in this state";
  case CHANGEFEED_ERR_REENTRANT:
    return "not allowed inside a callback";
  case CHANGEFEED_ERR_FORKED:
    return "the object belongs to the parent process";
  case CHANGEFEED_ERR_OPTION:
    return "unknown or malformed option";
  case CHANGEFEED_ERR_RANGE:
    return "option out of range";
  case CHANGEFEED_ERR_UNSUPPORTED:
    return "not supported by this build";
  case CHANGEFEED_ERR_NOMEM:
    return "out of memory";
  case CHANGEFEED_ERR_SYSTEM:
    return "the operating system refused";
  case CHANGEFEED_ERR_STORE:
    return "the position could not be loaded or saved";
  case CHANGEFEED_ERR_CALLBACK:
    return "a callback gave up";
  case CHANGEFEED_ERR_NETWORK:
    return "network error";
  case CHANGEFEED_ERR_TLS:
    return "TLS error";
  case CHANGEFEED_ERR_IDLE:
    return "the peer was silent for too long";
  case CHANGEFEED_ERR_AUTH:
    return "not authorized";
  case CHANGEFEED_ERR_NOTFOUND:
    return "not found";
  case CHANGEFEED_ERR_HTTP:
    return "unexpected HTTP status";
  case CHANGEFEED_ERR_PROTOCOL:
    return "the answer is not a changes feed";
  case CHANGEFEED_ERR_LIMIT:
    return "a limit was exceeded";
  case CHANGEFEED_ERR_RESET:
    return "the server serves another history";
  default:
    return "unknown result";
  }
}

const char *changefeed_state_name(int state) {
  static const char *const names[] = {
      "connecting", "catchup", "live", "paused", "waiting", "ended", "failed"};

  return state >= 0 && state < (int)(sizeof names / sizeof names[0])
             ? names[state]
             : "unknown";
}
