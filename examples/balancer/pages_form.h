/* What the files of pages.c share: which form is wanted. Pure. */
#ifndef BALANCER_PAGES_FORM_H
#define BALANCER_PAGES_FORM_H

#include "common/http_head.h"

enum page_form { PAGE_FORM_TEXT, PAGE_FORM_HTML, PAGE_FORM_JSON };

/* By the value of a request's Accept. HTML and JSON only for who names them, so
   that a plain command line tool gets one line of text; whatever cannot be
   read of the value counts as not said. */
enum page_form page_form_of(http_str accept);

#endif
