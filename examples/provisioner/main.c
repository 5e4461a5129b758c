/* provisioner: keeps what runs as the database says it should, and takes down
   in the database what callers of its API want. This file only puts the parts
   together, and takes them apart in order when it is told to end. */
#include "common/config.h"
#include "common/log.h"
#include "provisioner/options.h"
#include "provisioner/run.h"

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  char error[512];
  options o;
  int rc = options_read(&o, argc, argv, error, sizeof error);

  if (rc >= 0) {
    if (rc != 0)
      (void)fprintf(stderr, "provisioner: %s\n", error);
    options_free(&o);
    return rc;
  }
  log_open("provisioner", o.log_level);
  rc = run(&o);
  options_free(&o);
  return rc;
}
