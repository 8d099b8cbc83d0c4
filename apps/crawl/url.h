/* SPDX-License-Identifier: BSD-3-Clause */
/* URLs: references are resolved by RFC 3986, section 5.2, and normalised by its section 6.2, so that two that name the
 * same thing are the same text in most cases. Only http and https are known; fragments and user names go. */
#ifndef MPMAP_CRAWL_URL_H
#define MPMAP_CRAWL_URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define URL_MOST 2000 /* the longest URL that is asked for: longer ones are mostly traps */
#define URL_ROOM (URL_MOST + 1)

/* What references are relative to. */
struct url_base {
    char text[URL_ROOM];
    size_t origin_length;    /* scheme, host and port */
    size_t directory_length; /* up to and with the last slash of the path */
    size_t path_length;      /* up to the end of the path */
    size_t length;
};

/* Sets the base to an absolute URL, which is normalised. Returns false, and leaves it, if it is none. */
bool url_base_set(struct url_base *base, const char *text, size_t length);

/* Resolves and normalises a reference as it stands in a page; without a base (NULL) it must be absolute. Returns the
 * length of what is written to `url`, with a byte of 0 behind it; 0 if it cannot be asked for: another scheme, no host,
 * too long. */
size_t url_resolve(const struct url_base *base, const char *reference, size_t length, char url[URL_ROOM]);

/* Of a normalised URL: how long its "https://host:port" is. */
size_t url_origin_length(const char *url);
/* The host's name, without the port. */
const char *url_host(const char *url, size_t *length);

/* 64 bits that stand for the URL. */
uint64_t url_fingerprint(const char *url, size_t length);

#endif
