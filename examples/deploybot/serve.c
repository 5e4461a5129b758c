/* See serve.h. */
#include "deploybot/serve.h"

#include "common/http_server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct site {
  text page;
} site;

static void on_request(http_exchange *x, void *user) {
  static const http_field fields[] = {
      {{"Content-Type", 12}, {"text/plain; charset=utf-8", 25}},
      {{"Cache-Control", 13}, {"no-store", 8}}};
  const site *s = user;

  http_exchange_answer(x, 200, fields, 2, s->page.data, s->page.len);
}

static int fail(const char *why) {
  (void)fprintf(stderr, "deploybot serve: %s\n", why);
  return EXIT_FAILURE;
}

int serve(void) {
  const char *port = getenv("PORT"), *app = getenv("NONCE_APP"),
             *nonce = getenv("NONCE");
  site s = {TEXT_INIT};
  http_server_config how = {.on_request = on_request, .user = &s};
  char address[64], error[256];
  uv_loop_t loop;

  if (port == NULL || *port == '\0' || strlen(port) > 5 ||
      strspn(port, "0123456789") != strlen(port))
    return fail("PORT is no number of a port");
  if (app == NULL || nonce == NULL)
    return fail("NONCE_APP and NONCE are needed");
  text_printf(&s.page, "app=%.100s nonce=%.100s\n", app, nonce);
  (void)snprintf(address, sizeof address, "127.0.0.1:%s", port);
  how.address = address;
  if (s.page.failed || uv_loop_init(&loop) != 0)
    return fail("there is no memory");
  if (http_server_open(&loop, &how, error, sizeof error) == NULL)
    return fail(error);
  return uv_run(&loop, UV_RUN_DEFAULT) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
