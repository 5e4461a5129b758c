/* deploybot: deploys a canary all the time, and mails when that does not
   work. */
#include "common/log.h"
#include "deploybot/gate.h"
#include "deploybot/options.h"
#include "deploybot/run.h"
#include "deploybot/serve.h"

#include <stdio.h>

static int go(const options *o) {
  const gate_config g = {.couch = o->couch,
                         .apps = config_string(o->config, "apps"),
                         .state = config_string(o->config, "state"),
                         .max_age_ms = config_number(o->config, "max-age")};

  if (o->command == COMMAND_SERVE)
    return serve();
  return o->command == COMMAND_GATE ? gate(&g) : run(o);
}

int main(int argc, char **argv) {
  char error[512];
  options o;
  int rc = options_read(&o, argc, argv, error, sizeof error);

  if (rc > 0)
    (void)fprintf(stderr, "deploybot: %s\n", error);
  if (rc < 0) {
    log_open("deploybot", o.log_level);
    rc = go(&o);
  }
  options_free(&o);
  return rc;
}
