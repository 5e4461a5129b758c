/*
 * What the drone is told, and as whom it runs.
 */
#ifndef DRONE_SETUP_H
#define DRONE_SETUP_H

#include "common/config.h"
#include "drone/drone_app.h"

extern const config_program drone_program;

/* Limits and times of the app out of the options; false with a sentence. */
bool drone_setup_app(const config *c, drone_app_config *app, char *error,
                     size_t error_size);
/* Gives up root, when there is something to give up: becomes --user, who gets
   the directory, or stays root by --as-root; false with a sentence. */
bool drone_setup_user(const config *c, char *error, size_t error_size);

/* As many descriptors as are allowed: each visitor takes two. */
void drone_setup_files(void);

#endif
