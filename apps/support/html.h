/* SPDX-License-Identifier: BSD-3-Clause */
/* The little of HTML that pages need. */
#ifndef MPMAP_SUPPORT_HTML_H
#define MPMAP_SUPPORT_HTML_H

#include <stdio.h>

/* Writes any bytes as text of a page, also within an attribute in double quotes. What is not UTF-8, and control
 * characters, go out as \xNN, so nothing of a hostile name is markup, and nothing is lost. */
void html_write_text(FILE *file, const char *text);

#endif
