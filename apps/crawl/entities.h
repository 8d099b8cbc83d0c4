/* SPDX-License-Identifier: BSD-3-Clause */
/* Character references of HTML, as far as links and titles have them. */
#ifndef MPMAP_CRAWL_ENTITIES_H
#define MPMAP_CRAWL_ENTITIES_H

#include <stddef.h>

/* Decodes &amp; &lt; &gt; &quot; &apos; &nbsp; and numbers; others stay as they are. Returns the length of what it has
 * written, which is at most `length`; `decoded` may be `text`. */
size_t entities_decode(const char *text, size_t length, char *decoded);

#endif
