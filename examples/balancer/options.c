/* Options of the balancer; see options.h. */
#include "balancer/options.h"

#include "common/couch_url.h"
#include "common/log.h"
#include "common/program.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static const config_option table[] = {
    COUCH_OPTIONS,
    {"apps", CONFIG_STRING, "apps", 0, 0, "DB",
     "the database of apps and routes"},
    {"id", CONFIG_STRING, NULL, 0, 0, "NAME",
     "of this balancer, another for each, the same after a restart; default: "
     "by "
     "chance"},
    {"listen", CONFIG_STRING, "127.0.0.1:8000", 0, 0, "ADDR:PORT",
     "where visitors come; port 0: the system chooses"},
    {"admin", CONFIG_STRING, "127.0.0.1:7500", 0, 0, "ADDR:PORT",
     "where the status page, metrics and /route are; not for visitors"},
    {"advertise", CONFIG_STRING, NULL, 0, 0, "ADDR:PORT",
     "what the database says of --listen, where that is no address"},
    {"advertise-admin", CONFIG_STRING, NULL, 0, 0, "ADDR:PORT",
     "what the database says of --admin, where that is no address"},
    {"port-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "write both addresses to this file, each on its line, once it is ready"},
    {"snapshot", CONFIG_STRING, NULL, 0, 0, "FILE",
     "keep the table in this file, and begin with it"},
    {"snapshot-every", CONFIG_MS, "10s", 100, 3600000, "TIME",
     "how often it is saved when something has changed"},
    {"audit-every", CONFIG_MS, "5m", 1000, 86400000, "TIME",
     "how often the table is compared with the database"},
    {"stale-time", CONFIG_MS, "15s", 100, 3600000, "TIME",
     "without a sign that the feed brings what is written, it is called stale"},
    {"engine", CONFIG_STRING, "embedded", 0, 0, "embedded|haproxy",
     "what serves visitors"},
    {"haproxy-socket", CONFIG_STRING, NULL, 0, 0, "PATH",
     "HAProxy's runtime socket"},
    {"verify-every", CONFIG_MS, "60s", 100, 3600000, "TIME",
     "how often HAProxy's maps are compared with the table"},
    {"print-haproxy-config", CONFIG_FLAG, NULL, 0, 0, NULL,
     "print a configuration for HAProxy, and end"},
    {"threads", CONFIG_NUMBER, "0", 0, 63, "N",
     "that serve visitors; 0: one for each core"},
    {"max-connections", CONFIG_NUMBER, "20000", 1, 1000000, "N", "of visitors"},
    {"max-app", CONFIG_NUMBER, "1000", 1, 1000000, "N",
     "requests of one app at a time"},
    {"max-head", CONFIG_NUMBER, "16384", 1024, 65536, "BYTES",
     "of a request's head"},
    {"max-body", CONFIG_NUMBER, "1073741824", 0, 1099511627776, "BYTES",
     "of a request's body"},
    {"head-time", CONFIG_MS, "10s", 100, 3600000, "TIME",
     "for all of a request's head"},
    {"idle-time", CONFIG_MS, "60s", 100, 3600000, "TIME",
     "between requests, and without a byte within one"},
    {"connect-time", CONFIG_MS, "2s", 10, 3600000, "TIME",
     "to connect to a drone"},
    {"answer-time", CONFIG_MS, "30s", 100, 3600000, "TIME",
     "for the head of an app's answer"},
    {"tunnel-time", CONFIG_MS, "1h", 100, 86400000, "TIME",
     "without a byte in a websocket"},
    {"drain-time", CONFIG_MS, "30s", 0, 3600000, "TIME",
     "for requests on their way, when the program is to end"},
    {"https", CONFIG_FLAG, NULL, 0, 0, NULL,
     "apps are told that visitors came by https: TLS ends before this program"},
    {"access-log", CONFIG_FLAG, NULL, 0, 0, NULL,
     "a line for each request, without its query"},
    {"peer", CONFIG_LIST, NULL, 0, 0, "URL",
     "the admin face of another balancer to compare with, besides those in the "
     "database"},
    {"shadow", CONFIG_FLAG, NULL, 0, 0, NULL,
     "serve nobody: follow, compare with the peers, and say what differs"},
    {"for", CONFIG_MS, NULL, 100, 86400000, "TIME",
     "of a shadow: end after that time, with status 1 if anything differed"},
    {"log-level", CONFIG_STRING, "info", 0, 0, "LEVEL",
     "debug, info, warn or error"},
#ifdef PLATFORM_HOOKS
    {"naive", CONFIG_STRING, NULL, 0, 0, "WAY",
     "tests only: a way of working that is known to be wrong"},
#endif
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const config_program program = {
    "balancer", "Takes visitors to the drones, as a CouchDB database says.",
    "BALANCER", table, NULL};

static bool is_addr_option(const options *o, const char *name, char *error,
                           size_t size) {
  const char *addr = config_string(o->config, name);

  if (addr == NULL || id_is_addr(addr, strlen(addr)))
    return true;
  (void)snprintf(error, size,
                 "--%s %.80s: it is ADDRESS:PORT, the address a "
                 "number",
                 name, addr);
  return false;
}

/* What goes only with something else. */
static const char *mismatch(const options *o) {
  const config *c = o->config;
  const char *engine = config_string(c, "engine");
  bool haproxy = strcmp(engine, "haproxy") == 0;
  const char *const *urls;

  if (!haproxy && strcmp(engine, "embedded") != 0)
    return "--engine is embedded or haproxy";
  if (haproxy && config_string(c, "haproxy-socket") == NULL)
    return "--engine haproxy needs --haproxy-socket";
  if (!haproxy && config_string(c, "haproxy-socket") != NULL)
    return "--haproxy-socket goes only with --engine haproxy";
  if (config_flag(c, "shadow") && config_list(c, "peer", &urls) == 0)
    return "--shadow needs a --peer to compare with";
  if (config_is_set(c, "for") && !config_flag(c, "shadow"))
    return "--for goes only with --shadow";
  return NULL;
}

static bool read_others(options *o, char *error, size_t size) {
  const char *wrong = mismatch(o);

  o->log_level = log_level_of(config_string(o->config, "log-level"));
  if (o->log_level < 0)
    wrong = "--log-level is debug, info, warn or error";
  if (wrong != NULL) {
    (void)snprintf(error, size, "%s", wrong);
    return false;
  }
  return is_addr_option(o, "advertise", error, size) &&
         is_addr_option(o, "advertise-admin", error, size);
}

int options_read(options *o, int argc, char **argv, char *error,
                 size_t error_size) {
  memset(o, 0, sizeof *o);
  o->config = config_read(&program, argc, argv, error, error_size);
  if (o->config == NULL)
    return EXIT_USAGE;
  if (config_flag(o->config, "help")) {
    config_print_help(&program);
    return 0;
  }
  if (config_flag(o->config, "version")) {
    (void)puts(
        "balancer of libchangefeed's platform, version " BALANCER_VERSION);
    return 0;
  }
  if (!read_others(o, error, error_size) ||
      !program_id(o->config, 'b', o->id, error, error_size))
    return EXIT_USAGE;
  o->couch = couch_url(o->config, error, error_size);
  return o->couch != NULL ? -1 : EXIT_USAGE;
}

void options_free(options *o) {
  config_forget(o->couch);
  config_free(o->config);
}
