/* SPDX-License-Identifier: BSD-3-Clause */
/* One request of a fetcher, by libcurl. */
#ifndef MPMAP_CRAWL_TRANSFER_H
#define MPMAP_CRAWL_TRANSFER_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buffer.h"
#include "facts.h"
#include "message.h"
#include "url.h"

struct transfer {
    CURL *easy;
    const char *agent;
    struct transfer *next; /* in a list */
    uint64_t page;
    enum order_kind kind;
    unsigned flags; /* ORDER_… */
    char url[URL_ROOM];
    struct buffer head; /* of the answer */
    struct buffer body; /* as it came */
    struct buffer text; /* unpacked, if it was packed */
    bool is_too_large, has_too_much_head;
    bool is_enough;     /* the rest of robots.txt is not read */
    bool head_is_whole; /* what comes as a header from now on is a trailer */
    bool is_sent;       /* the request was: it is not to be sent again */
    size_t most_size;   /* that --max-size allows; most_of() says what counts */
    struct curl_slist *headers;
    uint64_t time_ms;
    uint64_t ticket;      /* names it to parsers; 0 otherwise */
    size_t parsing_bytes; /* that they have of it */
    char type[128], etag[256], modified[64], error[256], location[URL_ROOM];
    char address[64];
    struct facts facts; /* its texts are the ones above, and those of the page's links */
};

/* What all transfers of a fetcher have in common. */
struct transfer_limits {
    const char *agent;
    const char *authorities; /* file of certificates; "": the system's */
    double timeout_s;
    size_t most_size;
};

/* NULL if libcurl has no memory. */
struct transfer *transfer_create(const struct transfer_limits *limits);
/* Sets it to a request; ETag and Last-Modified are those of an earlier answer, or "". */
void transfer_set(struct transfer *transfer, const char *url, const char *etag, const char *modified);
void transfer_free(struct transfer *transfer);
/* Fills in the facts of an answer, or of why there is none. */
void transfer_finish(struct transfer *transfer, CURLcode code);
/* The text of what came, unpacked; NULL if there is none, and then the facts say why. */
const char *transfer_text(struct transfer *transfer, size_t *size);
/* The request as libcurl sends it by HTTP/1.1. */
void transfer_request(const struct transfer *transfer, struct buffer *request);
/* The head as a WARC file has it: of HTTP/1.1, and without what is no longer true of the body. */
void transfer_head(const struct transfer *transfer, struct buffer *head);

#endif
