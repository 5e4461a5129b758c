/*
 * Many followers of one server that is away for long: how they come back.
 */
#ifndef SIM_HERD_H
#define SIM_HERD_H

#include <stdbool.h>
#include <stdint.h>

/* Tells what it has seen on stdout. True: as it has to be. */
bool sim_herd(uint64_t seed);

#endif
