/* balancer: takes visitors to the drone that has the app of their host, as the
   database says it; see run.h. */
#include "balancer/options.h"
#include "balancer/run.h"
#include "common/log.h"

#include <stdio.h>

int main(int argc, char **argv) {
  char error[512];
  options o;
  int rc = options_read(&o, argc, argv, error, sizeof error);

  if (rc >= 0) {
    if (rc != 0)
      (void)fprintf(stderr, "balancer: %s\n", error);
    options_free(&o);
    return rc;
  }
  log_open("balancer", o.log_level);
  rc = run(&o);
  options_free(&o);
  return rc;
}
