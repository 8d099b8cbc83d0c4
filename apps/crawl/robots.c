/* SPDX-License-Identifier: BSD-3-Clause */
/* The file is read twice: first it is found out whether a group names the crawler, then the rules of all groups that
 * are meant are taken together. */
#include "robots.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buffer.h"
#include "pattern.h"
#include "url.h"

#define MOST_DELAY_S  3600.0
#define MOST_RULES    20000
#define MOST_SITEMAPS 1000

struct span {
    const char *text;
    size_t length;
};

struct line {
    struct span key, value;
};

/* Where a reading of the file is. */
struct groups {
    bool is_meant;       /* the group that is read is for us */
    bool is_among_names; /* the last line was a User-agent */
};

static struct span trim(const char *text, const char *end)
{
    while (text < end && isspace((unsigned char)*text))
        text++;
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    return (struct span){text, (size_t)(end - text)};
}

/* Reads the line at *at, and moves on. Returns false at the end. */
static bool next_line(const char **at, const char *end, struct line *line)
{
    const char *text = *at, *stop = text, *comment, *colon;

    if (text >= end)
        return false;
    while (stop < end && *stop != '\n' && *stop != '\r')
        stop++;
    *at = stop + 1;
    if ((comment = memchr(text, '#', (size_t)(stop - text))))
        stop = comment;
    colon = memchr(text, ':', (size_t)(stop - text));
    line->key = trim(text, colon ? colon : stop);
    line->value = colon ? trim(colon + 1, stop) : (struct span){stop, 0};
    return true;
}

static bool is(struct span span, const char *word)
{
    return span.length == strlen(word) && !strncasecmp(span.text, word, span.length);
}

/* Whether a User-agent line means the crawler: its value up to what is no part of a product token. */
static bool names(struct span value, const char *agent)
{
    size_t length = 0;

    while (length < value.length &&
           (isalpha((unsigned char)value.text[length]) || strchr("-_", value.text[length])))
        length++;
    size_t token = strcspn(agent, "/ ");

    return length && length == token && !strncasecmp(value.text, agent, token);
}

static bool is_star(struct span value)
{
    return value.length && value.text[0] == '*';
}

static bool names_crawler(const char *text, const char *end, const char *agent)
{
    struct line line;

    while (next_line(&text, end, &line)) {
        if (is(line.key, "user-agent") && names(line.value, agent))
            return true;
    }
    return false;
}

/* In the form in which URLs are, but for *, which stays. */
static void add_rule(struct robots *robots, struct span value, bool is_allow)
{
    struct url_base base;
    struct robots_rule rule = {.is_allow = is_allow};
    struct buffer pattern = {0};
    const char *at = value.text, *end = value.text + value.length;

    if (!value.length || robots->count >= MOST_RULES)
        return;
    if ((rule.is_whole = end[-1] == '$'))
        end--;
    url_base_set(&base, "http://h/", 9);
    while (at < end) { /* each run without * is normalised as a query is: dots stay */
        const char *star = memchr(at, '*', (size_t)(end - at));
        char url[URL_ROOM], reference[URL_MOST];
        size_t size = (size_t)((star ? star : end) - at), length;

        if (size + 2 >
            sizeof reference) { /* no URL that is asked for is so long; its beginning is not the rule */
            buffer_free(&pattern);
            return;
        }
        reference[0] = '?';
        memcpy(reference + 1, at, size);
        if (!(length = url_resolve(&base, reference, size + 1, url))) {
            buffer_free(&pattern);
            return;
        }
        buffer_add(&pattern, url + 10, length - 10);
        if (star)
            buffer_add(&pattern, "*", 1);
        at += size + (star != NULL);
    }
    rule.length = pattern.size;
    rule.pattern = must_copy(pattern.bytes, pattern.size);
    buffer_free(&pattern);
    robots->rules = must_realloc(robots->rules, (robots->count + 1) * sizeof rule);
    robots->rules[robots->count++] = rule;
}

static void add_sitemap(struct robots *robots, struct span value)
{
    if (!value.length || robots->sitemap_count >= MOST_SITEMAPS)
        return;
    robots->sitemaps = must_realloc(robots->sitemaps, (robots->sitemap_count + 1) * sizeof *robots->sitemaps);
    robots->sitemaps[robots->sitemap_count++] = must_copy(value.text, value.length);
}

static void set_delay(struct robots *robots, struct span value)
{
    char text[32] = "";
    double delay_s;

    memcpy(text, value.text, value.length < sizeof text ? value.length : sizeof text - 1);
    delay_s = strtod(text, NULL);
    if (delay_s > robots->delay_s)
        robots->delay_s = delay_s < MOST_DELAY_S ? delay_s : MOST_DELAY_S;
}

static void on_line(struct robots *robots, const struct line *line, bool is_meant)
{
    if (is(line->key, "sitemap"))
        add_sitemap(robots, line->value);
    else if (!is_meant)
        return;
    else if (is(line->key, "allow"))
        add_rule(robots, line->value, true);
    else if (is(line->key, "disallow"))
        add_rule(robots, line->value, false);
    else if (is(line->key, "crawl-delay"))
        set_delay(robots, line->value);
}

/* Where reading ends. Of a file that was cut, the last line may be half of one, which would say something else. */
static const char *end_of_text(const char *text, size_t size)
{
    if (size < ROBOTS_MOST)
        return text + size;
    size = ROBOTS_MOST;
    while (size && text[size - 1] != '\n' && text[size - 1] != '\r')
        size--;
    return text + size;
}

void robots_read(struct robots *robots, const char *text, size_t size, const char *agent)
{
    const char *end = end_of_text(text, size);
    struct groups groups = {false, false};
    struct line line;
    bool by_name;

    *robots = (struct robots){0};
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        text += 3;
    by_name = names_crawler(text, end, agent);
    while (next_line(&text, end, &line)) {
        if (!is(line.key, "user-agent")) {
            on_line(robots, &line, groups.is_meant);
            /* Other lines may stand between the names of a group; rules end them. */
            if (is(line.key, "allow") || is(line.key, "disallow") || is(line.key, "crawl-delay"))
                groups.is_among_names = false;
            continue;
        }
        if (!groups.is_among_names)
            groups.is_meant = false;
        groups.is_among_names = true;
        groups.is_meant |= by_name ? names(line.value, agent) : is_star(line.value);
    }
}

bool robots_allow(const struct robots *robots, const char *url)
{
    const char *path = url + url_origin_length(url);
    const struct robots_rule *best = NULL;

    if (!strcmp(path, "/robots.txt"))
        return true;
    if (robots->forbids_all)
        return false;
    for (size_t i = 0; i < robots->count; i++) {
        const struct robots_rule *rule = &robots->rules[i];

        if (best && (rule->length < best->length || (rule->length == best->length && !rule->is_allow)))
            continue;
        if (pattern_matches(rule->pattern, rule->length, path, rule->is_whole))
            best = rule;
    }
    return !best || best->is_allow;
}

void robots_free(struct robots *robots)
{
    for (size_t i = 0; i < robots->count; i++)
        free(robots->rules[i].pattern);
    for (size_t i = 0; i < robots->sitemap_count; i++)
        free(robots->sitemaps[i]);
    free(robots->rules);
    free(robots->sitemaps);
    *robots = (struct robots){0};
}
