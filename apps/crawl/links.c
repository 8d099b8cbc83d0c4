/* SPDX-License-Identifier: BSD-3-Clause */
/* Pages repeat their links: a reference that was seen in the same page is not resolved again. */
#include "links.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "decode.h"

void links_begin(struct links *links, const char *url, size_t length)
{
    if (!url_base_set(&links->base, url, length))
        links->base = (struct url_base){0};
    links->count = 0;
    links->texts.size = 0;
    links->is_cut = links->says_nofollow = links->says_noindex = links->has_base = false;
    links->canonical[0] = links->title[0] = links->query_charset[0] = 0;
    set_clear(&links->seen);
    set_clear(&links->seen_raw);
}

static void append(struct links *links, const struct link *link)
{
    if (links->count == links->room) {
        links->room = links->room ? links->room * 2 : 256;
        links->links = must_realloc(links->links, links->room * sizeof *links->links);
    }
    links->links[links->count++] = *link;
}

static bool has_more_than_ascii(const char *text, size_t length)
{
    while (length && !(*text & 0x80))
        text++, length--;
    return length;
}

/* The path of a URL is in UTF-8, its query in the set of the page that has the link. Returns the new length. */
static size_t encode_query(struct links *links, const char **reference, size_t length)
{
    const char *query = memchr(*reference, '?', length);
    size_t path = query ? (size_t)(query - *reference) : length;

    if (!query || !has_more_than_ascii(query, length - path))
        return length;
    links->encoded.size = 0;
    buffer_add(&links->encoded, *reference, path);
    if (!decode_from_utf8(query, length - path, links->query_charset, &links->encoded))
        return length;
    *reference = links->encoded.bytes;
    return links->encoded.size;
}

void links_add(struct links *links, const char *reference, size_t length, enum link_kind kind,
               bool is_nofollow)
{
    char url[URL_ROOM];
    size_t url_length;
    bool is_new;

    if (!length || reference[0] == '#' || (kind == LINK_PART && links->pages_only) || !links->base.length)
        return;
    if (links->count >= links->most) {
        links->is_cut = true;
        return;
    }
    /* The kinds keep apart, lest one that is followed is hidden by one that is not. */
    set_add(&links->seen_raw, url_fingerprint(reference, length) + kind * 2 + is_nofollow + 1, 0, &is_new);
    if (*links->query_charset)
        length = encode_query(links, &reference, length);
    if (!is_new || !(url_length = url_resolve(&links->base, reference, length, url)))
        return;
    struct link link = {.fingerprint = url_fingerprint(url, url_length),
                        .text = links->texts.size,
                        .length = (uint16_t)url_length,
                        .kind = (uint8_t)kind,
                        .is_nofollow = is_nofollow};
    uint64_t *place = set_add(&links->seen, link.fingerprint, links->count, &is_new);

    if (!is_new) { /* one link that may be followed is enough */
        links->links[*place].is_nofollow &= is_nofollow;
        return;
    }
    buffer_add(&links->texts, url, url_length + 1);
    append(links, &link);
}

static bool has_word(const char *words, size_t length, const char *word)
{
    size_t size = strlen(word);

    for (size_t i = 0; i + size <= length; i++) {
        bool begins = !i || strchr(" ,:;\t", words[i - 1]),
             ends = i + size == length || strchr(" ,;\t", words[i + size]);

        if (begins && ends && !strncasecmp(words + i, word, size))
            return true;
    }
    return false;
}

void links_robots(struct links *links, const char *words, size_t length)
{
    if (has_word(words, length, "none"))
        links->says_nofollow = links->says_noindex = true;
    links->says_nofollow |= has_word(words, length, "nofollow");
    links->says_noindex |= has_word(words, length, "noindex");
}

void links_robots_header(struct links *links, const char *words, size_t length, const char *agent)
{
    const char *colon = memchr(words, ':', length);
    size_t name = colon ? (size_t)(colon - words) : 0, token = strcspn(agent, "/ ");
    bool is_name = name && !memchr(words, ',', name) && !memchr(words, ' ', name) &&
                   strncasecmp(words, "unavailable_after", name) && strncasecmp(words, "max-", 4);

    if (!is_name || (name == token && !strncasecmp(words, agent, token)))
        links_robots(links, words, length);
}

void links_free(struct links *links)
{
    free(links->links);
    buffer_free(&links->texts);
    buffer_free(&links->encoded);
    set_free(&links->seen);
    set_free(&links->seen_raw);
}
