/* The databases as the platform needs them. */
#ifndef PROVISIONER_INIT_H
#define PROVISIONER_INIT_H

#include <stdbool.h>
#include <stddef.h>

/* Creates both databases, `locks` with one copy of each document, and
   sys:maintenance; what is there already stays. false with a sentence. */
bool init_databases(const char *couch, const char *apps, const char *locks,
                    char *error, size_t error_size);

#endif
