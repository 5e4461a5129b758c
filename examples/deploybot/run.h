/* The bot as a program: its thread, its metrics, and its end. */
#ifndef DEPLOYBOT_RUN_H
#define DEPLOYBOT_RUN_H

#include "deploybot/options.h"

enum { EXIT_SKIPPED = 3 };

/* The commands run and once; the status to exit with. */
int run(const options *o);

#endif
