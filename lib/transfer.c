/*
 * Requests over libcurl. Every setting that can fail is checked; what libcurl
 * tells is turned into the feed's terms.
 */
#include "transfer.h"

#include <stdio.h>
#include <string.h>

#include "str.h"
#include "transfer_redirect.h"
#include "transfer_set.h"

enum { MAX_REDIRECTS = 5 };

void cfi_transfer_init(cfi_transfer *t, const cfi_alloc *alloc, CURLM **multi,
                       CURLSH **pool, const cfi_sockets *sockets) {
  memset(t, 0, sizeof *t);
  t->alloc = alloc;
  t->multi = multi;
  t->pool = pool;
  t->sockets = *sockets;
}

void cfi_transfer_free(cfi_transfer *t) { cfi_transfer_cancel(t); }

bool cfi_transfer_free_pool(CURLSH **pool) {
  if (*pool != NULL && curl_share_cleanup(*pool) != CURLSHE_OK)
    return false;
  *pool = NULL;
  return true;
}

static bool make_pool(CURLSH **pool, bool connections) {
  CURLSH *made;

  if (*pool != NULL)
    return true;
  made = curl_share_init();
  if (made == NULL)
    return false;
  if ((connections &&
       curl_share_setopt(made, CURLSHOPT_SHARE, CURL_LOCK_DATA_CONNECT) !=
           CURLSHE_OK) ||
      curl_share_setopt(made, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION) !=
          CURLSHE_OK) {
    (void)curl_share_cleanup(made);
    return false;
  }
  *pool = made;
  return true;
}

static bool make_handles(cfi_transfer *t) {
  if (!make_pool(t->pool, !t->alone))
    return false;
  t->easy = curl_easy_init();
  return t->easy != NULL &&
         curl_easy_setopt(t->easy, CURLOPT_SHARE, *t->pool) == CURLE_OK;
}

/* ---- libcurl's callbacks ---- */

static const char *header_of(CURL *easy, const char *name) {
  struct curl_header *h = NULL;

  return curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK
             ? h->value
             : NULL;
}

/* The session cookie of Set-Cookie; out points into value. */
static bool session_cookie(const char *value, size_t *len, int64_t *age_ms) {
  const char *p = strchr(value, ';');

  if (!cfi_str_starts_nocase(value, "AuthSession="))
    return false;
  *len = p != NULL ? (size_t)(p - value) : strlen(value);
  *age_ms = -1;
  while (p != NULL) {
    const char *end;
    int64_t seconds;

    p += 1 + strspn(p + 1, " ");
    end = strchr(p, ';');
    if (cfi_str_starts_nocase(p, "Max-Age=") &&
        cfi_str_to_int(p + 8, (end != NULL ? (size_t)(end - p) : strlen(p)) - 8,
                       &seconds) &&
        seconds >= 0 && seconds <= 1000000000)
      *age_ms = seconds * 1000;
    p = end;
  }
  return *len > strlen("AuthSession=");
}

static void note_head(cfi_transfer *t, long status) {
  cfi_head head = {.status = (int)status, .cookie_age_ms = -1};
  struct curl_header *h = NULL;
  char *cookie = NULL, *location = NULL, *at = NULL;
  const char *to = header_of(t->easy, "Location");
  size_t len;

  head.retry_after = header_of(t->easy, "Retry-After");
  for (size_t i = 0;
       !t->foreign && curl_easy_header(t->easy, "Set-Cookie", i, CURLH_HEADER,
                                       -1, &h) == CURLHE_OK;
       i++)
    if (session_cookie(h->value, &len, &head.cookie_age_ms)) {
      cookie = cfi_strndup(t->alloc, h->value, len);
      t->lane->no_memory = t->lane->no_memory || cookie == NULL;
      break;
    }
  if (to != NULL &&
      curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &at) == CURLE_OK)
    location = cfi_redirect_shown(t->alloc, at, to);
  head.cookie = cookie;
  head.location = location;
  t->head_noted = true;
  cfi_feed_note_head(t->feed, t->lane, &head);
  t->sockets.noted(t->feed);
  cfi_free_secret(t->alloc, cookie);
  cfi_free(t->alloc, location);
}

/* The end of a response's head; not of a 1xx, and not of a redirect that is
   going to be followed. */
static size_t on_header(char *line, size_t size, size_t count, void *user) {
  cfi_transfer *t = user;
  size_t len = size * count;
  long status = 0;

  if (len > 2 || len == 0 || (line[0] != '\r' && line[0] != '\n'))
    return len;
  if (curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status) != CURLE_OK ||
      status < 200 || t->head_noted) /* or the end of trailers */
    return len;
  if (status >= 300 && status < 400 && t->feed->set.follow_redirects != 0 &&
      header_of(t->easy, "Location") != NULL)
    t->moving = true;
  else
    note_head(t, status);
  return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *user) {
  cfi_transfer *t = user;
  bool fail = false;

  if (t->moving)
    return size * count;
  if (cfi_feed_receive(t->feed, t->lane, data, size * count, &fail)) {
    if (cfi_feed_has_received(t->feed, t->lane))
      t->sockets.noted(t->feed);
    else
      t->sockets.beat(t->feed);
    return size * count;
  }
  if (fail) {
    t->failed = true;
    return 0;
  }
  t->refused = true;
  t->sockets.noted(t->feed);
  return CURL_WRITEFUNC_PAUSE;
}

static int on_connected(void *user, char *remote_ip, char *local_ip,
                        int remote_port, int local_port) {
  cfi_transfer *t = user;

  (void)remote_ip;
  (void)local_ip;
  (void)remote_port;
  (void)local_port;
  if (t->connected && !cfi_feed_note_again(t->feed)) {
    t->held_back = true;
    return CURL_PREREQFUNC_ABORT;
  }
  t->connected = true;
  cfi_feed_note_connected(t->feed, t->lane);
  t->sockets.noted(t->feed);
  return CURL_PREREQFUNC_OK;
}

static curl_socket_t on_open(void *user, curlsocktype purpose,
                             struct curl_sockaddr *address) {
  cfi_transfer *t = user;

  (void)purpose;
  return t->sockets.open(t->sockets.ctx, address);
}

/* ---- making a request ---- */

static CURLcode set_basics(cfi_transfer *t) {
  const cfi_settings *s = &t->feed->set;
  CURLcode rc = CURLE_OK;

  CFI_SET(CURLOPT_PRIVATE, t);
  CFI_SET(CURLOPT_ERRORBUFFER, t->text);
  CFI_SET(CURLOPT_NOSIGNAL, 1L);
  CFI_SET(CURLOPT_QUICK_EXIT, 1L); /* else a cancel waits for the resolver */
  CFI_SET(CURLOPT_PROTOCOLS_STR, "http,https");
  CFI_SET(CURLOPT_WRITEFUNCTION, on_body);
  CFI_SET(CURLOPT_WRITEDATA, t);
  CFI_SET(CURLOPT_HEADERFUNCTION, on_header);
  CFI_SET(CURLOPT_HEADERDATA, t);
  CFI_SET(CURLOPT_PREREQFUNCTION, on_connected);
  CFI_SET(CURLOPT_PREREQDATA, t);
  CFI_SET(CURLOPT_OPENSOCKETFUNCTION, on_open);
  CFI_SET(CURLOPT_OPENSOCKETDATA, t);
  /* Outlives the transfer: a connection closes its socket when it likes. */
  CFI_SET(CURLOPT_CLOSESOCKETFUNCTION, t->sockets.close);
  CFI_SET(CURLOPT_CLOSESOCKETDATA, t->sockets.ctx);
  CFI_SET(CURLOPT_CONNECTTIMEOUT_MS, (long)s->connect_timeout_ms);
  CFI_SET(CURLOPT_DNS_CACHE_TIMEOUT, 0L); /* a change of address is seen */
  CFI_SET(CURLOPT_TCP_KEEPALIVE, 1L);
  CFI_SET(CURLOPT_TCP_NODELAY, 1L);
  CFI_SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  CFI_SET(CURLOPT_HTTP_VERSION, s->http_version == CFI_HTTP_2
                                    ? (long)CURL_HTTP_VERSION_2_0
                                    : (long)CURL_HTTP_VERSION_1_1);
  return rc;
}

static int start_failed(cfi_transfer *t, CURLcode code, cfi_error *error) {
  int rc = code == CURLE_OUT_OF_MEMORY ? CHANGEFEED_ERR_NOMEM
           : code == CURLE_NOT_BUILT_IN || code == CURLE_UNKNOWN_OPTION
               ? CHANGEFEED_ERR_UNSUPPORTED
               : CHANGEFEED_ERR_NETWORK;

  cfi_transfer_cancel(t);
  (void)cfi_error_set(error, rc, "a request to %s could not be prepared: %s",
                      cfi_feed_where(t->feed)->shown, curl_easy_strerror(code));
  error->pub.curl_code = (int)code;
  return rc;
}

int cfi_transfer_start(cfi_transfer *t, const cfi_request *request,
                       cfi_error *error) {
  CURLcode rc;

  if (!make_handles(t))
    return start_failed(t, CURLE_OUT_OF_MEMORY, error);
  t->text[0] = '\0';
  t->refused = t->failed = t->moving = t->foreign = false;
  t->connected = t->held_back = t->head_noted = false;
  t->moves = 0;
  t->login = request->ask == CFI_ASK_LOGIN;
  rc = set_basics(t);
  if (rc == CURLE_OK)
    rc = cfi_transfer_set(t, request);
  if (rc != CURLE_OK)
    return start_failed(t, rc, error);
  if (curl_multi_add_handle(*t->multi, t->easy) != CURLM_OK)
    return start_failed(t, CURLE_OUT_OF_MEMORY, error);
  t->active = true;
  return CHANGEFEED_OK;
}

void cfi_transfer_cancel(cfi_transfer *t) {
  if (t->active) {
    t->active = false;
    /* Can fail only for a handle that is not in there. */
    (void)curl_multi_remove_handle(*t->multi, t->easy);
  }
  /* Lets go of credentials and headers. Not by curl_easy_reset: without memory
     that leaves a handle with a receive buffer of no bytes, and says nothing.
   */
  curl_easy_cleanup(t->easy);
  t->easy = NULL;
  curl_slist_free_all(t->headers);
  t->headers = t->last_plain = NULL;
  t->refused = false;
}

bool cfi_transfer_is_asking(const cfi_transfer *t) {
  return t->active && !t->head_noted;
}

void cfi_transfer_unblock(cfi_transfer *t) {
  CURLcode code;

  if (!t->active || !t->refused)
    return;
  t->refused = false;
  /* Offers what was refused again, at once. When that fails those bytes are
     lost, and libcurl would go on behind them. */
  code = curl_easy_pause(t->easy, CURLPAUSE_CONT);
  if (code != CURLE_OK)
    cfi_transfer_done(t, code);
}

void cfi_transfer_starved(cfi_transfer *t) {
  if (t->active)
    cfi_transfer_done(t, CURLE_OUT_OF_MEMORY);
}

/* ---- redirects ---- */

/* What another origin must not see. */
static CURLcode drop_secrets(cfi_transfer *t) {
  CURLcode rc = CURLE_OK;

  curl_slist_free_all(t->last_plain->next);
  t->last_plain->next = NULL;
  t->foreign = true;
  CFI_SET(CURLOPT_USERNAME, NULL);
  CFI_SET(CURLOPT_PASSWORD, NULL);
  CFI_SET(CURLOPT_XOAUTH2_BEARER, NULL);
  CFI_SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
  CFI_SET(CURLOPT_COOKIE, NULL);
  return rc;
}

static CURLcode refuse_move(cfi_transfer *t, CURLcode code, const char *why,
                            const char *to) {
  char *shown = cfi_redirect_shown(t->alloc, NULL, to);

  (void)snprintf(t->text, sizeof t->text, "%s %s", why,
                 shown != NULL ? shown : "");
  cfi_free(t->alloc, shown);
  return code;
}

/* The same request again, where the answer said. CURLE_OK: it runs. */
static CURLcode move(cfi_transfer *t) {
  char *from = NULL, *to = NULL;
  CURLcode rc = curl_easy_getinfo(t->easy, CURLINFO_EFFECTIVE_URL, &from);

  if (rc == CURLE_OK)
    rc = curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &to);
  if (rc != CURLE_OK || to == NULL)
    return rc != CURLE_OK ? rc : CURLE_WEIRD_SERVER_REPLY;
  if (t->moves++ == MAX_REDIRECTS)
    return refuse_move(t, CURLE_TOO_MANY_REDIRECTS,
                       "the redirects have no end, the last one is to", to);
  if (!cfi_redirect_same_origin(from, to)) {
    if (t->login)
      return refuse_move(t, CURLE_WEIRD_SERVER_REPLY,
                         "a password is not sent to the redirect's target", to);
    rc = drop_secrets(t);
  }
  t->moving = t->connected = false;
  (void)curl_multi_remove_handle(*t->multi, t->easy);
  CFI_SET(CURLOPT_HTTPHEADER, t->headers);
  CFI_SET(CURLOPT_URL, to);
  if (rc == CURLE_OK && curl_multi_add_handle(*t->multi, t->easy) != CURLM_OK)
    rc = CURLE_OUT_OF_MEMORY;
  return rc;
}

/* ---- the outcome ---- */

static int code_of(CURLcode code) {
  switch (code) {
  case CURLE_OUT_OF_MEMORY:
    return CHANGEFEED_ERR_NOMEM;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CIPHER:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_ENGINE_INITFAILED:
  case CURLE_SSL_CRL_BADFILE:
  case CURLE_SSL_INVALIDCERTSTATUS:
  case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
    return CHANGEFEED_ERR_TLS;
  case CURLE_BAD_CONTENT_ENCODING:
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_TOO_MANY_REDIRECTS:
  case CURLE_UNSUPPORTED_PROTOCOL:
    return CHANGEFEED_ERR_PROTOCOL;
  default:
    return CHANGEFEED_ERR_NETWORK;
  }
}

void cfi_transfer_done(cfi_transfer *t, CURLcode code) {
  cfi_outcome outcome = {.code = CHANGEFEED_OK};
  long sys_errno = 0;
  char text[CURL_ERROR_SIZE];

  if (code == CURLE_OK && t->moving && (code = move(t)) == CURLE_OK)
    return;
  if (code != CURLE_OK) {
    outcome.code = t->failed ? CHANGEFEED_ERR_NOMEM : code_of(code);
    outcome.fatal = code == CURLE_PEER_FAILED_VERIFICATION;
    outcome.curl_code = (int)code;
    if (curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &sys_errno) == CURLE_OK)
      outcome.sys_errno = (int)sys_errno;
  }
  memcpy(text, t->text, sizeof text);
  /* With an '@' it quotes a URL, the environment's proxy for instance. */
  outcome.text = text[0] != '\0' && strchr(text, '@') == NULL
                     ? text
                     : curl_easy_strerror(code);
  if (t->held_back)
    outcome.text = "the server has closed the connection, and the rate limit "
                   "forbids another request now";
  if (code == CURLE_OK && !t->head_noted)
    note_head(t, 0); /* HTTP/0.9 or nothing at all */
  cfi_transfer_cancel(t);
  cfi_feed_note_done(t->feed, t->lane, &outcome);
  t->sockets.noted(t->feed);
}
