/* Whether the program is to end, and pauses that end with it. Any thread. */
#ifndef DEPLOYBOT_HALT_H
#define DEPLOYBOT_HALT_H

#include <stdbool.h>
#include <stdint.h>

typedef struct halt halt;

halt *halt_new(void); /* NULL for want of memory */
void halt_free(halt *h);
void halt_set(halt *h);
bool halt_is_set(halt *h);
/* False, and at once, when it is to end. */
bool halt_pause(halt *h, int64_t ms);

int64_t mono_ms(void); /* never set back */
int64_t wall_ms(void); /* since 1970 */

#endif
