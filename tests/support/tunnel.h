/* TLS in front of a port on loopback: stunnel with a certificate of its own
   that nobody knows (tls_verify=0 takes it). Without stunnel4 or openssl the
   test fails with that reason. */
#ifndef CFT_TUNNEL_H
#define CFT_TUNNEL_H

#include <stdint.h>

typedef struct cft_tunnel cft_tunnel;

cft_tunnel *cft_tunnel_start(uint16_t target);
uint16_t cft_tunnel_port(const cft_tunnel *tunnel);
/* Reads what stunnel has said: it tells of each connection, and waits when
   nobody listens. To be called now and then when there are hundreds. */
void cft_tunnel_listen(cft_tunnel *tunnel);
void cft_tunnel_stop(cft_tunnel *tunnel); /* NULL is fine */

#endif
