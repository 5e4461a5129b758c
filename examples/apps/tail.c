/* See tail.h: the longest end of one text that is the beginning of the other,
   by the table of Knuth, Morris and Pratt; a log may consist of one letter. */
#include "apps/tail.h"

#include <stdlib.h>

/* table[i]: the longest beginning of now that ends at i, and is not all of it.
 */
static void make_table(const char *now, size_t len, size_t *table) {
  size_t k = 0;

  table[0] = 0;
  for (size_t i = 1; i < len; i++) {
    while (k != 0 && now[i] != now[k])
      k = table[k - 1];
    if (now[i] == now[k])
      k++;
    table[i] = k;
  }
}

bool apps_tail_known(const char *seen, size_t seen_len, const char *now,
                     size_t now_len, size_t *known, bool *lost) {
  size_t *table, k = 0;

  *known = 0;
  *lost = false;
  if (now_len == 0 || seen_len == 0)
    return true;
  table = calloc(now_len, sizeof *table);
  if (table == NULL)
    return false;
  make_table(now, now_len, table);
  for (size_t i = 0; i < seen_len; i++) {
    if (k == now_len)
      k = table[k - 1];
    while (k != 0 && seen[i] != now[k])
      k = table[k - 1];
    if (seen[i] == now[k])
      k++;
  }
  free(table);
  *known = k;
  *lost = k == 0;
  return true;
}
