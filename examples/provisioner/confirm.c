/* Asks the balancers whether they hold what is live of an app. What a balancer
   answers is its own word about its own table; nothing but an answer of 200
   counts. */
#include "provisioner/kernel_state.h"

#include <stdio.h>
#include <string.h>

enum { BALANCERS_MOST = 32, LEAST_MS = 200 };

static bool holds(const balancer_doc *b, const route_doc *route,
                  int64_t wait_ms, char *why, size_t size) {
  int64_t seconds = (wait_ms + 999) / 1000; /* what they are asked in */
  char url[ADDR_MOST + 16], host[HOST_MOST * 3 + 4], path[1200];
  rest_config config;
  rest_reply reply;
  rest *r;
  int status;

  (void)snprintf(url, sizeof url, "http://%s", b->admin);
  memset(&config, 0, sizeof config);
  config.url = url;
  config.connect_ms = 1000;
  config.total_ms = seconds * 1000 + 1000;
  config.max_reply = 65536;
  r = rest_new(&config, why, size);
  if (r == NULL || !rest_escape(route->hosts[0], host, sizeof host)) {
    rest_free(r);
    return false;
  }
  (void)snprintf(path, sizeof path, "/route/%s?claim=%s&wait=%lld", host,
                 route->to[0].claim, (long long)seconds);
  status = rest_call(r, "GET", path, NULL, &reply);
  if (status == 0)
    (void)snprintf(why, size, "no answer");
  else
    (void)snprintf(why, size, "answers %d", status);
  rest_reply_free(&reply);
  rest_free(r);
  return status == 200;
}

void confirm_ask(kernel *k, const char *app, int64_t wait_ms, size_t *have,
                 size_t *all, text *lacking) {
  balancer_doc balancers[BALANCERS_MOST];
  int64_t end = mono_ms() + wait_ms;
  route_doc route;
  char why[160];
  size_t i;

  *have = 0;
  *all = view_balancers(k->view, balancers, BALANCERS_MOST);
  if (!view_route(k->view, app, &route) || route.to_count == 0 ||
      route.host_count == 0) {
    if (lacking != NULL)
      text_str(lacking, "there is no route yet");
    return;
  }
  for (i = 0; i < *all; i++) {
    int64_t left = end - mono_ms();

    if (holds(&balancers[i], &route, left > LEAST_MS ? left : LEAST_MS, why,
              sizeof why))
      (*have)++;
    else if (lacking != NULL)
      text_printf(lacking, "%s%s (%s)", lacking->len != 0 ? ", " : "",
                  balancers[i].id, why);
  }
}

void kernel_confirm(kernel *k, const char *app, int64_t wait_ms, char acks[16],
                    char *lacking, size_t size) {
  text names = TEXT_INIT;
  size_t have, all;

  confirm_ask(k, app, wait_ms, &have, &all, &names);
  (void)snprintf(acks, 16, "%u/%u", (unsigned)have, (unsigned)all);
  if (size != 0)
    (void)snprintf(lacking, size, "%s", text_get(&names));
  text_free(&names);
}
