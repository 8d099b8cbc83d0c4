/* SPDX-License-Identifier: BSD-3-Clause */
/* The links of one page, and what else the page says of itself: what the scanners of HTML, CSS and sitemaps find goes
 * here. Each URL is kept once a page, in the order of the page. */
#ifndef MPMAP_CRAWL_LINKS_H
#define MPMAP_CRAWL_LINKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "set.h"
#include "url.h"

enum link_kind {
    LINK_PAGE,    /* somebody may follow it: a, area, frame, sitemap */
    LINK_PART,    /* what a page needs to be shown: an image, a script, a style sheet */
    LINK_SITEMAP, /* a sitemap that an index of sitemaps lists */
};

/* A link: the URL is at `text` of the texts, with a byte of 0 behind it. */
struct link {
    uint64_t fingerprint;
    size_t text;
    uint16_t length;
    uint8_t kind; /* enum link_kind */
    bool is_nofollow;
};

struct links {
    struct url_base base; /* the page's URL, or what <base> says */
    struct link *links;
    size_t count;
    size_t room;
    size_t most;        /* further ones are left out */
    bool is_cut;        /* some were */
    bool says_nofollow; /* of all of its links: meta robots, or a header */
    bool says_noindex;
    bool has_base;            /* the page has said what its base is: only the first time counts */
    char query_charset[32];   /* in which queries of its links are, as browsers send them; "": UTF-8 */
    bool pages_only;          /* links of kind LINK_PART are left out */
    char canonical[URL_ROOM]; /* what the page says its URL is; "" if nothing */
    char title[256];          /* of the page, in one line; "" if it has none */
    struct buffer texts;
    struct buffer encoded; /* a reference with its query in that set */
    struct set seen;       /* fingerprints of the page's links */
    struct set seen_raw;   /* of references as they stand in the page */
};

/* Forgets the last page, and begins one. */
void links_begin(struct links *links, const char *url, size_t length);
/* Notes a reference as it stands in the page, entities decoded. */
void links_add(struct links *links, const char *reference, size_t length, enum link_kind kind,
               bool is_nofollow);
/* What a meta element says to robots: "noindex, nofollow". */
void links_robots(struct links *links, const char *words, size_t length);
/* The same of a header, whose words may be for one robot only, as in "otherbot: nofollow". */
void links_robots_header(struct links *links, const char *words, size_t length, const char *agent);
void links_free(struct links *links);

#endif
