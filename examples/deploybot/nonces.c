/* See nonces.h. */
#include "deploybot/nonces.h"

#include <string.h>

bool nonces_renew(nonces *n) {
  for (int i = 0; i < 2; i++) {
    if (n->count == NONCES_MOST) {
      memmove(n->words, n->words + 1, sizeof n->words - sizeof n->words[0]);
      n->count--;
    }
    if (!id_random(n->words[n->count]))
      return false;
    n->count++;
  }
  return true;
}
