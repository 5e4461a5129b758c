/* The words of the canary's versions: the last few, so that an old one is not
   taken for somebody else's. */
#ifndef DEPLOYBOT_NONCES_H
#define DEPLOYBOT_NONCES_H

#include "common/ids.h"

enum { NONCES_MOST = 32 };

typedef struct nonces {
  char words[NONCES_MOST][CLAIM_LEN + 1]; /* the youngest at the end */
  size_t count;
} nonces;

/* Two more, by chance; the oldest go. False: the system has no chance. */
bool nonces_renew(nonces *n);

#endif
