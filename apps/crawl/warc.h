/* SPDX-License-Identifier: BSD-3-Clause */
/* WARC 1.1 files, each record a gzip member of its own, so that one can be read without the others, and a file that was
 * cut after a record is a whole file. */
#ifndef MPMAP_CRAWL_WARC_H
#define MPMAP_CRAWL_WARC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct warc;

/* A page: what was asked for, and what came. */
struct warc_page {
    const char *url;
    const char *address; /* of the server; "" if it is not known */
    uint64_t time_ms;    /* since 1970 */
    const char *request; /* as it was sent */
    size_t request_size;
    const char *head; /* of the answer, with its empty line */
    size_t head_size;
    const char *body;
    size_t body_size;
    bool is_unchanged; /* the server says that it has what an earlier crawl had */
};

/* Opens the file to append to it; a new one gets a warcinfo record. NULL after saying what is wrong. */
struct warc *warc_open(const char *name, const char *agent);
/* Appends a page's records, that of the answer last; says where that is and how long. They are in the file after
 * warc_flush(), at the latest. Both return 0, or 1 after saying what is wrong: then nothing else can be appended. */
int warc_append(struct warc *warc, const struct warc_page *page, uint64_t *offset, uint64_t *length);
int warc_flush(struct warc *warc);
/* What was not flushed is dropped. */
int warc_close(struct warc *warc);

#endif
