/* The status page: one file, which a browser may run because its parts carry a
   number that nobody else can know. */
#include "balancer/admin_state.h"

#include "balancer/status_html.h"
#include <string.h>

#define MARK "{{nonce}}"

/* The page with the number in place of each mark. */
static void put_page(text *out, const char *nonce) {
  const char *at = (const char *)status_html, *end = at + status_html_len;

  for (;;) {
    const char *mark = memmem(at, (size_t)(end - at), MARK, sizeof MARK - 1);

    text_add(out, at, (size_t)((mark != NULL ? mark : end) - at));
    if (mark == NULL)
      return;
    text_str(out, nonce);
    at = mark + sizeof MARK - 1;
  }
}

static http_field field(const char *name, const char *value) {
  return (http_field){{name, strlen(name)}, {value, strlen(value)}};
}

void admin_page(admin_call *c) {
  char nonce[CLAIM_LEN + 1];
  text page = TEXT_INIT, policy = TEXT_INIT;

  if (!id_random(nonce)) {
    admin_answer_error(c->x, 503, "the kernel has no random bytes");
    return;
  }
  put_page(&page, nonce);
  text_printf(&policy,
              "default-src 'none'; style-src 'nonce-%s'; script-src "
              "'nonce-%s'; connect-src 'self'; img-src data:; base-uri "
              "'none'; form-action 'none'; frame-ancestors 'none'",
              nonce, nonce);
  if (page.failed || policy.failed) {
    http_exchange_abort(c->x);
  } else {
    const http_field fields[] = {
        field("Content-Type", "text/html; charset=utf-8"),
        field("Cache-Control", "no-store"),
        field("Content-Security-Policy", policy.data),
        field("X-Content-Type-Options", "nosniff"),
        field("X-Frame-Options", "DENY"),
        field("Referrer-Policy", "no-referrer"),
        field("Cross-Origin-Resource-Policy", "same-origin"),
        field("Cross-Origin-Opener-Policy", "same-origin")};

    http_exchange_answer(c->x, 200, fields, sizeof fields / sizeof *fields,
                         page.data, page.len);
  }
  text_free(&page);
  text_free(&policy);
}
