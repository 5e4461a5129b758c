/*
 * Any bytes as the host that a visitor asks for, against a table of a few hosts
 * and patterns: what is found is what a slow way finds.
 */
#include "common/ids.h"
#include "fuzz/fuzz.h"

#include "balancer/route.c"
#include "balancer/route_pack.c"
#include "balancer/sip.c"
#include "balancer/table.c"
#include "balancer/table_find.c"
#include "balancer/table_routes.c"

static const char *const names[] = {
    "a.b",     "shop.example",     "*.shop.example", "*.eu.shop.example",
    "x.y.z.w", "127.0.0.1",        "*.a.b",          "*.a.a.a.a.a.a.a.a.a.a",
    "a",       "x.eu.shop.example"};
enum { NAMES = sizeof names / sizeof *names };

static table *all;
static route *of[NAMES];

static void set_up(void) {
  static route_doc d;

  all = table_new();
  CFT_FUZZ_CHECK(all != NULL);
  for (size_t i = 0; i < NAMES; i++) {
    memset(&d, 0, sizeof d);
    (void)snprintf(d.app, sizeof d.app, "app-%zu", i);
    (void)snprintf(d.hosts[0], sizeof d.hosts[0], "%s", names[i]);
    d.host_count = 1;
    of[i] = route_make(&d);
    CFT_FUZZ_CHECK(of[i] != NULL);
    CFT_FUZZ_CHECK(routes_put(table_current(all), of[i], NULL));
  }
}

static const route *named(const char *name) {
  for (size_t i = 0; i < NAMES; i++)
    if (strcmp(names[i], name) == 0)
      return of[i];
  return NULL;
}

/* One after another: port, dot, empty labels, the name, its patterns. */
static const route *slowly(char *host) {
  char *port = strrchr(host, ':'), pattern[HOST_MOST + 3];
  const route *found;
  size_t len;

  if (port != NULL && strspn(port + 1, "0123456789") == strlen(port + 1))
    *port = '\0';
  len = strlen(host);
  if (len != 0 && host[len - 1] == '.')
    host[--len] = '\0';
  if (len == 0 || len > HOST_MOST || host[0] == '.' || host[len - 1] == '.' ||
      strstr(host, "..") != NULL)
    return NULL;
  for (char *c = host; *c != '\0'; c++)
    if (*c >= 'A' && *c <= 'Z')
      *c = (char)(*c + 32);
  found = named(host);
  for (char *dot = strchr(host, '.'); found == NULL && dot != NULL;
       dot = strchr(dot + 1, '.')) {
    (void)snprintf(pattern, sizeof pattern, "*%s", dot);
    found = named(pattern);
  }
  return found;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char *copy;
  const route *found;

  if (all == NULL)
    set_up();
  copy = malloc(size + 1);
  if (copy == NULL)
    return 0;
  for (size_t i = 0; i < size; i++)
    copy[i] =
        data[i] != 0 ? (char)data[i] : '0'; /* the slow way needs strings */
  copy[size] = '\0';
  found = table_find(all, copy, size);
  CFT_FUZZ_CHECK(found == slowly(copy));
  free(copy);
  return 0;
}
