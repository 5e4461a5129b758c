/* The provisioner at work, from its start to its end. */
#ifndef PROVISIONER_RUN_H
#define PROVISIONER_RUN_H

#include "provisioner/options.h"

/* The status to exit with. */
int run(const options *o);

#endif
