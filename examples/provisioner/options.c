/* Options of the provisioner; see options.h. */
#include "provisioner/options.h"

#include "common/couch_url.h"
#include "common/log.h"
#include "common/program.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EXIT_USAGE = 2 };

static const config_option table[] = {
    COUCH_OPTIONS,
    {"apps", CONFIG_STRING, "apps", 0, 0, "DB",
     "the database of apps and routes"},
    {"locks", CONFIG_STRING, "locks", 0, 0, "DB",
     "the database of drones and host names"},
    {"init", CONFIG_FLAG, NULL, 0, 0, NULL,
     "create the databases, where they are not there yet, and end"},
    {"id", CONFIG_STRING, NULL, 0, 0, "NAME",
     "of this provisioner, another for each; default: by chance"},
    {"listen", CONFIG_STRING, "127.0.0.1:7400", 0, 0, "ADDR:PORT",
     "where the API is; port 0: the system chooses"},
    {"port-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "write where the API is to this file, once it is ready"},
    {"token-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "the token of the API's callers"},
    {"drone-token-file", CONFIG_STRING, NULL, 0, 0, "FILE",
     "the token of the drones' agents"},
    {"domain", CONFIG_STRING, "localhost", 0, 0, "DOMAIN",
     "an app without hosts is NAME.DOMAIN"},
    {"url-scheme", CONFIG_STRING, "http", 0, 0, "SCHEME",
     "of the URLs that are told"},
    {"url-port", CONFIG_NUMBER, "0", 0, 65535, "PORT",
     "of the URLs that are told; 0: none is named"},
    {"driver", CONFIG_STRING, "none", 0, 0, "local|exec|none",
     "who makes drones: this program, a script, or somebody else"},
    {"driver-path", CONFIG_STRING, NULL, 0, 0, "FILE",
     "local: the program drone, by default the one beside this; exec: the "
     "script"},
    {"driver-dir", CONFIG_STRING, NULL, 0, 0, "DIR",
     "local: where drones keep what they have"},
    {"drone-user", CONFIG_STRING, NULL, 0, 0, "NAME",
     "local, started by root: the user that drones and apps become, or root"},
    {"drones-least", CONFIG_NUMBER, "0", 0, 100000, "N",
     "drones that there are at least"},
    {"drones-most", CONFIG_NUMBER, "64", 0, 100000, "N",
     "drones that there are at most"},
    {"workers", CONFIG_NUMBER, "8", 1, 64, "N",
     "apps that are worked on at a time"},
    {"start-time", CONFIG_MS, "60s", 100, 3600000, "TIME",
     "for an app to answer after its start"},
    {"bind-time", CONFIG_MS, "30s", 100, 3600000, "TIME",
     "for a drone to accept an app"},
    {"reap-time", CONFIG_MS, "60s", 100, 3600000, "TIME",
     "after which a claim that was not bound is taken back"},
    {"app-every", CONFIG_MS, "10s", 1, 3600000, "TIME",
     "one operation of an app so often, beyond a burst of three"},
    {"force-every", CONFIG_MS, "60s", 1, 3600000, "TIME",
     "an app is moved on demand so often at most"},
    {"rate", CONFIG_NUMBER, "50", 1, 100000, "N",
     "operations of all apps in a second, while the database is well"},
    {"queue", CONFIG_NUMBER, "1000", 1, 1000000, "N",
     "apps that may wait for a drone"},
    {"drain-time", CONFIG_MS, "20s", 0, 600000, "TIME",
     "for what is on its way, when the program is to end"},
    {"log-level", CONFIG_STRING, "info", 0, 0, "LEVEL",
     "debug, info, warn or error"},
#ifdef PLATFORM_HOOKS
    {"naive", CONFIG_STRING, NULL, 0, 0, "WAYS",
     "tests only: ways of working that are known to be wrong"},
    {"failpoint", CONFIG_STRING, NULL, 0, 0, "STEP[:N]",
     "tests only: killed after that step"},
#endif
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static const config_program program = {
    "provisioner", "Starts apps on drones, as a CouchDB database says.",
    "PROVISIONER", table, NULL};

static bool read_secret(const options *o, const char *name, char **out,
                        char *error, size_t size) {
  const char *file = config_string(o->config, name);

  if (file == NULL) {
    (void)snprintf(error, size, "--%s is needed", name);
    return false;
  }
  *out = config_secret(file, error, size);
  if (*out != NULL && (*out)[0] == '\0') {
    (void)snprintf(error, size, "--%s: the file %.200s is empty", name, file);
    return false;
  }
  return *out != NULL;
}

static bool read_others(options *o, char *error, size_t size) {
  const char *driver = config_string(o->config, "driver");
  const char *domain = config_string(o->config, "domain");

  o->log_level = log_level_of(config_string(o->config, "log-level"));
  if (o->log_level < 0)
    (void)snprintf(error, size, "--log-level is debug, info, warn or error");
  else if (!id_is_host(domain, strlen(domain)))
    (void)snprintf(error, size, "--domain %.60s is no host name", domain);
  else if (strcmp(driver, "none") != 0 && strcmp(driver, "local") != 0 &&
           strcmp(driver, "exec") != 0)
    (void)snprintf(error, size, "--driver is local, exec or none");
  else if (strcmp(driver, "exec") == 0 &&
           config_string(o->config, "driver-path") == NULL)
    (void)snprintf(error, size, "--driver %s needs --driver-path", driver);
  else if (strcmp(driver, "local") == 0 &&
           config_string(o->config, "driver-dir") == NULL)
    (void)snprintf(error, size, "--driver local needs --driver-dir");
  else
    return true;
  return false;
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
    (void)puts("provisioner of libchangefeed's platform, version 1");
    return 0;
  }
  if (!read_others(o, error, error_size) ||
      !program_id(o->config, 'p', o->id, error, error_size) ||
      (o->couch = couch_url(o->config, error, error_size)) == NULL)
    return EXIT_USAGE;
  if (!config_flag(o->config, "init") &&
      (!read_secret(o, "token-file", &o->token, error, error_size) ||
       !read_secret(o, "drone-token-file", &o->drone_token, error, error_size)))
    return EXIT_USAGE;
  return -1;
}

void options_free(options *o) {
  config_forget(o->couch);
  config_forget(o->token);
  config_forget(o->drone_token);
  config_free(o->config);
}
