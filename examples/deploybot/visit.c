/* See visit.h. A head or body that is larger than what is kept is read on, and
   counted, up to a limit. */
#include "deploybot/visit.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { CONNECT_MS = 2000, BODY_MOST = 1024 * 1024 };

struct visitor {
  CURL *curl;
  visit_answer *out; /* of the visit under way */
};

static size_t on_body(char *data, size_t one, size_t len, void *ctx) {
  visit_answer *out = ((visitor *)ctx)->out;
  size_t room = sizeof out->body - out->kept, n = len < room ? len : room;

  (void)one; /* is 1 */
  memcpy(out->body + out->kept, data, n);
  out->kept += n;
  out->total += len;
  return out->total <= BODY_MOST ? len : 0;
}

static curl_socket_t open_socket(void *ctx, curlsocktype purpose,
                                 struct curl_sockaddr *a) {
  (void)ctx;
  (void)purpose;
  return socket(a->family, a->socktype | SOCK_CLOEXEC, a->protocol);
}

visitor *visitor_new(const char *addr) {
  visitor *v = calloc(1, sizeof *v);
  CURLcode e = CURLE_OK;
  char url[160];

  if (v == NULL || (v->curl = curl_easy_init()) == NULL) {
    free(v);
    return NULL;
  }
  (void)snprintf(url, sizeof url, "http://%s/", addr);
#define SET(option, value)                                                     \
  (e = e != CURLE_OK ? e : curl_easy_setopt(v->curl, option, value))
  SET(CURLOPT_URL, url);
  SET(CURLOPT_NOSIGNAL, 1L);
  SET(CURLOPT_NOPROXY, "*");
  SET(CURLOPT_PROXY, "");
  SET(CURLOPT_FOLLOWLOCATION, 0L);
  SET(CURLOPT_PROTOCOLS_STR, "http");
  SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
  SET(CURLOPT_USERAGENT, "deploybot");
  SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
  SET(CURLOPT_WRITEFUNCTION, on_body);
  SET(CURLOPT_WRITEDATA, v);
  SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
#undef SET
  if (e == CURLE_OK)
    return v;
  visitor_free(v);
  return NULL;
}

void visitor_free(visitor *v) {
  if (v == NULL)
    return;
  curl_easy_cleanup(v->curl);
  free(v);
}

/* A field of the answer, if it is there and fits. */
static void take_field(visitor *v, const char *name, char *out, size_t size) {
  struct curl_header *h;
  size_t len;

  if (curl_easy_header(v->curl, name, 0, CURLH_HEADER, -1, &h) != CURLHE_OK)
    return;
  len = strlen(h->value);
  for (size_t i = 0; i < len; i++)
    if (h->value[i] <= ' ' || h->value[i] >= 0x7f)
      return;
  if (len != 0 && len < size)
    memcpy(out, h->value, len + 1);
}

static struct curl_slist *make_headers(const char *host, const char *id) {
  struct curl_slist *list, *more;
  char line[HOST_MOST + 16];

  (void)snprintf(line, sizeof line, "Host: %s", host);
  list = curl_slist_append(NULL, line);
  (void)snprintf(line, sizeof line, "X-Request-Id: %s", id);
  more = list != NULL ? curl_slist_append(list, line) : NULL;
  if (more == NULL)
    curl_slist_free_all(list);
  return more;
}

void visit(visitor *v, const char *host, int64_t total_ms, visit_answer *out) {
  struct curl_slist *headers;
  char id[CLAIM_LEN + 1] = "deploybot", why[CURL_ERROR_SIZE] = "";
  CURLcode e = CURLE_OUT_OF_MEMORY;
  long status = 0;

  memset(out, 0, sizeof *out);
  v->out = out;
  (void)id_random(id);
  (void)snprintf(out->request, sizeof out->request, "%s", id);
  headers = make_headers(host, id);
  if (headers != NULL &&
      curl_easy_setopt(v->curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
      curl_easy_setopt(v->curl, CURLOPT_TIMEOUT_MS, (long)total_ms) ==
          CURLE_OK &&
      curl_easy_setopt(v->curl, CURLOPT_ERRORBUFFER, why) == CURLE_OK)
    e = curl_easy_perform(v->curl);
  (void)curl_easy_getinfo(v->curl, CURLINFO_RESPONSE_CODE, &status);
  out->status = (int)status;
  if (e != CURLE_OK)
    (void)snprintf(out->error, sizeof out->error, "%.150s",
                   why[0] != '\0' ? why : curl_easy_strerror(e));
  if (status != 0) {
    take_field(v, "X-Balancer-Error", out->page, sizeof out->page);
    take_field(v, "X-Request-Id", out->request, sizeof out->request);
  }
  (void)curl_easy_setopt(v->curl, CURLOPT_ERRORBUFFER, NULL);
  (void)curl_easy_setopt(v->curl, CURLOPT_HTTPHEADER, NULL);
  curl_slist_free_all(headers);
  v->out = NULL;
}
