/* An app that comes and goes: made, started or not, destroyed, and made again
 * under the same name. Its visitors may be told that there is no such app. */
#include "visit.h"

#include <stdio.h>

int mayfly_ask(visit *v, const char *method, const char *what, json_t *body) {
  rest *to = rest_to(v->k.provs[0].url, token_text());
  char path[64];
  (void)snprintf(path, sizeof path, "/apps/mayfly%s", what);
  int status = ask(to, method, path, body, 8000, NULL);
  rest_free(to);
  return status;
}

void *mayfly_main(void *arg) {
  visit *v = arg;
  dice d = {.state = v->k.seed * 15485863};
  while (!v->users_end) {
    bool made =
        mayfly_ask(v, "POST", "", nonce_app(&v->k, "mayfly", "mayfly", NULL)) /
            100 ==
        2;
    sleep_ms(dice_below(&d, 500));
    if (made && dice_below(&d, 4))
      (void)mayfly_ask(v, "POST", "/start", json_object());
    sleep_ms(dice_below(&d, 1500));
    if (mayfly_ask(v, "DELETE", "", NULL) / 100 == 2)
      v->mayflies++;
    sleep_ms(dice_below(&d, 500));
  }
  return NULL;
}
