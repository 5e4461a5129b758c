/* Between the files of the options. */
#ifndef DEPLOYBOT_OPTIONS_INT_H
#define DEPLOYBOT_OPTIONS_INT_H

#include "deploybot/options.h"

/* Whether they fit together, and into what the parts of the bot are told. */
bool options_check(options *o, char *error, size_t size);

#endif
