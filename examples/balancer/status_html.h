/* status.html, as the build puts it into the program. */
#ifndef BALANCER_STATUS_HTML_H
#define BALANCER_STATUS_HTML_H

#include <stddef.h>

extern const unsigned char status_html[];
extern const size_t status_html_len;

#endif
