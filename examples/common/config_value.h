/* What the parts of config.c share: a value's meaning, and the options that
   every program has. */
#ifndef PLATFORM_CONFIG_VALUE_H
#define PLATFORM_CONFIG_VALUE_H

#include "common/config.h"

/* --config, --help, --version; ends with name NULL. */
extern const config_option config_own_options[];

/* Reads the text of a number, a time or a flag. false, with the rest of a
   sentence in why ("takes a number from 1 to 5, not \"x\""). */
bool config_value_read(const config_option *o, const char *text,
                       int64_t *number, char *why, size_t size);

#endif
