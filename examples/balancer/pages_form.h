/* What the files of pages.c share: which form is wanted, and text made fit for
   it. Pure. */
#ifndef BALANCER_PAGES_FORM_H
#define BALANCER_PAGES_FORM_H

#include "common/http_head.h"

enum page_form { PAGE_FORM_TEXT, PAGE_FORM_HTML, PAGE_FORM_JSON };

/* By the value of a request's Accept. HTML and JSON only for who names them, so
   that a plain command line tool gets one line of text; whatever cannot be
   read of the value counts as not said. */
enum page_form page_form_of(http_str accept);

/* Words of others, made harmless for people's eyes: what is no UTF-8 becomes
   U+FFFD, control characters, line and paragraph ends and marks that turn the
   direction of writing become spaces. At most `most` bytes are added. */
void page_clean(text *out, const char *s, size_t most);
/* Clean text as HTML has it, between tags and within quotes. */
void page_html_escape(text *out, const char *s);
/* A JSON string with its quotes; s need not be clean. */
void page_json_string(text *out, const char *s);

#endif
