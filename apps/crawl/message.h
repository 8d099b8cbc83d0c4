/* SPDX-License-Identifier: BSD-3-Clause */
/* What main, fetchers and parsers tell each other by queues. Main has a queue of results, each fetcher an inbox. A
 * message is any number of entries, one after the other, as buffer.h writes them:
 *
 *     inbox    main's orders:     INBOX_ORDER, page, kind, flags, URL, ETag, Last-Modified
 *              a parser's rows:   INBOX_ROWS, ticket, rows, error
 *     results  a fetcher's:       RESULT_CAME, page, bytes, microseconds
 *              a fetcher's:       RESULT_DONE, fetcher, kind, page, facts, body of robots.txt, count of links, links
 *              a link:            fingerprint, kind, URL
 *
 * A page that is to be parsed is told of twice: when it has come, so that its host may be asked for the next one, and
 * when it is done. Of all others the second says both. */
#ifndef MPMAP_CRAWL_MESSAGE_H
#define MPMAP_CRAWL_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include <mpmap.h>

#define INBOX_ORDER 1u
#define INBOX_ROWS  2u

#define RESULT_CAME 1u
#define RESULT_DONE 2u

enum order_kind {
    ORDER_PAGE,
    ORDER_SITEMAP,
    ORDER_ROBOTS, /* its page is the number of the host */
};

/* Flags of an order. */
#define ORDER_IS_LAST     1u /* main will not try again: what comes is kept, whatever it is */
#define ORDER_WANTS_LINKS 2u /* links of the page may be followed */

/* What a fetcher needs to know: the arguments of its process. Behind the struct stand texts, as buffer.h writes them:
 * the output folder, the user agent, the file of
 * authorities, the selector of rows, and the columns. */
struct fetcher_start {
    unsigned index; /* of the fetcher; its files have it in their names */
    mpm_queue inbox;
    mpm_queue results;
    mpm_value bytes;        /* u64: bytes that have come, of all fetchers */
    double timeout_s;       /* of a request */
    double parse_timeout_s; /* of the extraction from a page */
    size_t most_size;       /* bytes of a body, packed and unpacked */
    size_t most_links;      /* of a page */
    size_t memory;          /* bytes that a parser may need */
    unsigned connections;   /* to one host */
    unsigned parsers;       /* workers; 0: nothing is extracted */
    bool pages_only;
    bool has_warc;
};

#endif
