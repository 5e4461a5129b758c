/* A relay in front of a port on loopback: passes bytes both ways, whatever they
   are, and counts what the clients have sent. So a test sees that nothing was
   said on a connection, also within TLS, and can end connections in the middle
   of a write. Its thread dies with cft_relay_stop. Any thread may call. */
#ifndef CFT_RELAY_H
#define CFT_RELAY_H

#include <stddef.h>
#include <stdint.h>

typedef struct cft_relay cft_relay;

cft_relay *cft_relay_start(uint16_t target);
uint16_t cft_relay_port(const cft_relay *relay);

size_t cft_relay_accepted(const cft_relay *relay); /* connections ever */
size_t cft_relay_ended(const cft_relay *relay);    /* by the clients */
size_t cft_relay_sent(const cft_relay *relay);     /* bytes from clients */

/* Each connection from here on is reset when its client has sent that much; 0:
   none is. */
void cft_relay_reset_after(cft_relay *relay, size_t bytes);
size_t cft_relay_resets(const cft_relay *relay);

void cft_relay_stop(cft_relay *relay); /* NULL is fine */

#endif
