/* One mail to one receiver, by libcurl; see post.h. */
#include "deploybot/post.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

enum { CONNECT_MS = 10000, TOTAL_MS = 30000 };

typedef struct sending {
  const char *data;
  size_t left;
  halt *halt;
} sending;

static size_t on_read(char *out, size_t one, size_t size, void *ctx) {
  sending *s = ctx;
  size_t n = s->left < one * size ? s->left : one * size;

  memcpy(out, s->data, n);
  s->data += n;
  s->left -= n;
  return n;
}

/* Called every second at least: the program may be told to end. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t c,
                       curl_off_t d) {
  (void)a;
  (void)b;
  (void)c;
  (void)d;
  return halt_is_set(((sending *)ctx)->halt) ? 1 : 0;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose,
                                 struct curl_sockaddr *a) {
  (void)ctx;
  (void)purpose;
  return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

static long tls_of(const post_config *config) {
  if (config->user != NULL || config->tls == POST_TLS_NEED)
    return CURLUSESSL_ALL;
  return config->tls == POST_TLS_NEVER ? CURLUSESSL_NONE : CURLUSESSL_TRY;
}

static CURLcode set_up(CURL *curl, const post_config *config, sending *s,
                       struct curl_slist *to, char *why) {
  CURLcode e = CURLE_OK;

#define SET(option, value)                                                     \
  (e = e != CURLE_OK ? e : curl_easy_setopt(curl, option, value))
  SET(CURLOPT_URL, config->smtp);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
  SET(CURLOPT_NOPROXY, "*");
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
  SET(CURLOPT_TIMEOUT_MS, (long)TOTAL_MS);
  SET(CURLOPT_USE_SSL, tls_of(config));
  SET(CURLOPT_MAIL_FROM, config->from);
  SET(CURLOPT_MAIL_RCPT, to);
  SET(CURLOPT_UPLOAD, 1L);
  SET(CURLOPT_READFUNCTION, on_read);
  SET(CURLOPT_READDATA, s);
  SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)s->left);
  SET(CURLOPT_NOPROGRESS, 0L);
  SET(CURLOPT_XFERINFOFUNCTION, on_progress);
  SET(CURLOPT_XFERINFODATA, s);
  SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
  SET(CURLOPT_ERRORBUFFER, why);
  if (config->ca_file != NULL)
    SET(CURLOPT_CAINFO, config->ca_file);
  if (config->user != NULL) {
    SET(CURLOPT_USERNAME, config->user);
    SET(CURLOPT_PASSWORD, config->password);
  }
#undef SET
  return e;
}

enum post_said post_smtp(const post_config *config, const mail *m,
                         const char *to, halt *h, char *why, size_t size) {
  sending s = {m->data, strlen(m->data), h};
  char curl_why[CURL_ERROR_SIZE] = "", angled[ADDRESS_MOST + 3];
  CURLcode e = CURLE_OUT_OF_MEMORY;
  CURL *curl = curl_easy_init();
  struct curl_slist *list;
  long code = 0;

  (void)snprintf(angled, sizeof angled, "<%s>", to);
  list = curl_slist_append(NULL, angled);
  if (curl != NULL && list != NULL)
    e = set_up(curl, config, &s, list, curl_why);
  if (curl != NULL && list != NULL && e == CURLE_OK)
    e = curl_easy_perform(curl);
  if (curl != NULL)
    (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
  (void)snprintf(why, size, "%s (last answer %ld)",
                 curl_why[0] != '\0' ? curl_why : curl_easy_strerror(e), code);
  curl_easy_cleanup(curl);
  curl_slist_free_all(list);
  if (e == CURLE_OK)
    return POST_DONE;
  return code >= 500 && code < 600 ? POST_NEVER : POST_LATER;
}
