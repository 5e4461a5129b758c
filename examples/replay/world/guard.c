/* One request as a visitor's comes through a balancer: with the claim, to the
 * guard; its answer must have the claim, and the nonce of the app. */
#include "world.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>

typedef struct page {
  char text[1024];
  size_t len;
  char echo[160];
} page;

static size_t take_body(char *data, size_t one, size_t count, void *user) {
  page *p = user;
  size_t n = one * count, room = sizeof p->text - 1 - p->len;
  size_t part = n < room ? n : room;
  memcpy(p->text + p->len, data, part);
  p->len += part;
  p->text[p->len] = '\0';
  return n;
}

static size_t take_head(char *data, size_t one, size_t count, void *user) {
  static const char name[] = "x-drone-claim:";
  page *p = user;
  size_t n = one * count, skip = sizeof name - 1;
  if (n > skip && strncasecmp(data, name, skip) == 0) {
    while (skip < n && data[skip] == ' ')
      skip++;
    (void)snprintf(p->echo, sizeof p->echo, "%.*s",
                   (int)strcspn(data + skip, "\r\n"), data + skip);
  }
  return n;
}

bool guard_ask(const char *addr, const char *app, const char *claim,
               const char *expect) {
  page p = {.len = 0};
  char url[128], mine[128], field[160];
  long status = 0;
  CURL *curl = curl_easy_init();
  (void)snprintf(url, sizeof url, "http://%s/", addr);
  (void)snprintf(mine, sizeof mine, "%s/%s", app, claim);
  (void)snprintf(field, sizeof field, "X-Drone-Claim: %s", mine);
  struct curl_slist *fields = curl_slist_append(NULL, field);
  if (curl && fields) {
    (void)curl_easy_setopt(curl, CURLOPT_URL, url);
    (void)curl_easy_setopt(curl, CURLOPT_HTTPHEADER, fields);
    (void)curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    (void)curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, 2000L);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    (void)curl_easy_setopt(curl, CURLOPT_WRITEDATA, &p);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_head);
    (void)curl_easy_setopt(curl, CURLOPT_HEADERDATA, &p);
    if (curl_easy_perform(curl) == CURLE_OK)
      (void)curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  }
  curl_slist_free_all(fields);
  curl_easy_cleanup(curl);
  return status == 200 && strcmp(p.echo, mine) == 0 &&
         strncmp(p.text, expect, strlen(expect)) == 0;
}
