/* The configuration of visits, checked. Internal to traffic_*.c. */
#ifndef PLATFORM_TRAFFIC_CONFIG_H
#define PLATFORM_TRAFFIC_CONFIG_H

#include "common/http_pool_state.h"
#include "common/traffic.h"

/* false: error says what is wrong. *source: in host byte order; 0: none. */
bool traffic_config_check(const traffic_config *c, uint32_t *source,
                          char *error, size_t size);
/* Puts what stands behind zeros. */
void traffic_config_defaults(traffic_config *c);
bool traffic_rate_is_good(double rate);
/* Numeric, with a port. */
bool traffic_address(http_address *address, const char *name);

#endif
