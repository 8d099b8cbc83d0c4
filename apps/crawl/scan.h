/* SPDX-License-Identifier: BSD-3-Clause */
/* Fast scanners that find the links of a page without building its tree: of HTML, of style sheets, of sitemaps. They
 * read each byte about once, and nothing in the page makes them read outside of it or take longer than that. */
#ifndef MPMAP_CRAWL_SCAN_H
#define MPMAP_CRAWL_SCAN_H

#include <stddef.h>

#include "links.h"

void scan_html(const char *text, size_t size, struct links *links);
void scan_css(const char *text, size_t size, struct links *links);
void scan_sitemap(const char *text, size_t size, struct links *links);

#endif
