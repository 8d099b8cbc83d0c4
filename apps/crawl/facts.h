/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known of a page once it was asked for: a fetcher writes it into its message to main, main keeps it as it
 * came, and writes it into the journal. */
#ifndef MPMAP_CRAWL_FACTS_H
#define MPMAP_CRAWL_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"

/* What has become of a page. */
enum outcome {
    OUTCOME_ANSWERED,  /* the server has answered, with `status` */
    OUTCOME_TROUBLE,   /* the network or the server failed: it may be tried again */
    OUTCOME_FAILED,    /* what came is unfit: too large, damaged: `error` says why */
    OUTCOME_FORBIDDEN, /* robots.txt forbids it: it was not asked for */
};

/* The texts point into what the facts were read from, or to whoever has set them. Never NULL once they were read. */
struct facts {
    enum outcome outcome;
    unsigned status;      /* of HTTP; 0 without an answer */
    uint64_t size;        /* bytes of the body as it came */
    uint64_t duration_us; /* from the request to the last byte */
    uint64_t time_ms;     /* when it was asked for, since 1970 */
    uint64_t file;        /* number of the fetcher's files */
    uint64_t warc_offset; /* of its record */
    uint64_t warc_length; /* 0: there is none */
    uint64_t edges_end;   /* bytes of the fetcher's file of links, with this page's */
    uint64_t link_count;
    uint64_t retry_after_s; /* what the server asks for; 0: nothing */
    bool is_noindex, is_nofollow, is_cut;
    bool is_html;
    const char *type;     /* Content-Type */
    const char *location; /* where a redirect leads, normalised; "" if nowhere */
    const char *etag, *modified;
    const char *canonical, *title;
    const char *error; /* one line; "" if all is well */
    const char *rows;  /* what was extracted: see extract.h; "" if nothing */
    size_t rows_length;
};

void facts_write(const struct facts *facts, struct buffer *buffer);
/* reader->is_bad says whether they were there. */
void facts_read(struct facts *facts, struct reader *reader);

#endif
