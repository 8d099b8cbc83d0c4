/* SPDX-License-Identifier: BSD-3-Clause */
/* Tags are found by memchr(); of those that can have links the attributes are read, as the HTML standard's tokenizer
 * reads them; the others are passed over up to their end. Comments, scripts and titles hold no tags. */
#include "scan.h"

#include <string.h>
#include <strings.h>

#include "entities.h"

#define MOST_ATTRIBUTES 24

struct span {
    const char *text;
    size_t length;
};

struct attribute {
    struct span name, value;
};

struct tag {
    struct span name;
    struct attribute attributes[MOST_ATTRIBUTES];
    size_t count;
    const char *end; /* behind its > */
};

static bool is_space(char byte)
{
    return byte == ' ' || byte == '\n' || byte == '\t' || byte == '\r' || byte == '\f';
}

static bool is(struct span span, const char *word)
{
    return strlen(word) == span.length && !strncasecmp(span.text, word, span.length);
}

/* Reads the attribute at `at`; returns where the next one may begin, or the end. */
static const char *read_attribute(const char *at, const char *end, struct attribute *attribute)
{
    const char *close;

    attribute->name.text = at;
    at++; /* a = in front belongs to the name */
    while (at < end && *at != '=' && *at != '>' && *at != '/' && !is_space(*at))
        at++;
    attribute->name.length = (size_t)(at - attribute->name.text);
    attribute->value = (struct span){at, 0};
    while (at < end && is_space(*at))
        at++;
    if (at == end || *at != '=')
        return at;
    at++;
    while (at < end && is_space(*at))
        at++;
    if (at == end)
        return at;
    if (*at == '"' || *at == '\'') {
        close = memchr(at + 1, *at, (size_t)(end - at - 1));
        attribute->value = (struct span){at + 1, (size_t)((close ? close : end) - at - 1)};
        return close ? close + 1 : end;
    }
    attribute->value.text = at;
    while (at < end && *at != '>' && !is_space(*at))
        at++;
    attribute->value.length = (size_t)(at - attribute->value.text);
    return at;
}

/* `at` is behind the name. */
static void read_attributes(const char *at, const char *end, struct tag *tag)
{
    struct attribute attribute;

    tag->count = 0;
    while (at < end && *at != '>') {
        if (is_space(*at) || *at == '/') {
            at++;
            continue;
        }
        at = read_attribute(at, end, &attribute);
        if (tag->count < MOST_ATTRIBUTES)
            tag->attributes[tag->count++] = attribute;
    }
    tag->end = at < end ? at + 1 : end;
}

static struct span value_of(const struct tag *tag, const char *name)
{
    for (size_t i = 0; i < tag->count; i++) {
        if (is(tag->attributes[i].name, name))
            return tag->attributes[i].value;
    }
    return (struct span){NULL, 0};
}

static void add(struct links *links, struct span value, enum link_kind kind, bool is_nofollow)
{
    char decoded[URL_MOST];

    if (!value.text)
        return;
    if (memchr(value.text, '&', value.length)) {
        if (value.length > sizeof decoded)
            return;
        value.length = entities_decode(value.text, value.length, decoded);
        value.text = decoded;
    }
    links_add(links, value.text, value.length, kind, is_nofollow);
}

static bool contains_word(struct span span, const char *word)
{
    size_t size = strlen(word);

    for (size_t i = 0; i + size <= span.length; i++) {
        if ((!i || is_space(span.text[i - 1])) && !strncasecmp(span.text + i, word, size) &&
            (i + size == span.length || is_space(span.text[i + size])))
            return true;
    }
    return false;
}

/* "a.png 1x, b.png 2x" */
static void add_srcset(struct links *links, struct span set)
{
    const char *at = set.text, *end = set.text + set.length, *url;

    while (at < end) {
        while (at < end && (is_space(*at) || *at == ','))
            at++;
        url = at;
        while (at < end && !is_space(*at))
            at++;
        const char *stop = at;

        while (stop > url && stop[-1] == ',')
            stop--;
        add(links, (struct span){url, (size_t)(stop - url)}, LINK_PART, false);
        if (stop == at)
            at = memchr(at, ',', (size_t)(end - at));
        if (!at)
            return;
    }
}

static void on_anchor(const struct tag *tag, struct links *links)
{
    add(links, value_of(tag, "href"), LINK_PAGE, contains_word(value_of(tag, "rel"), "nofollow"));
}

static void on_frame(const struct tag *tag, struct links *links)
{
    add(links, value_of(tag, "src"), LINK_PAGE, false);
}

static void on_part(const struct tag *tag, struct links *links)
{
    struct span set = value_of(tag, "srcset");

    add(links, value_of(tag, "src"), LINK_PART, false);
    add(links, value_of(tag, "data"), LINK_PART, false);
    add(links, value_of(tag, "poster"), LINK_PART, false);
    if (set.text)
        add_srcset(links, set);
}

static void on_background(const struct tag *tag, struct links *links)
{
    add(links, value_of(tag, "background"), LINK_PART, false);
}

static void on_base(const struct tag *tag, struct links *links)
{
    struct span value = value_of(tag, "href");
    char url[URL_ROOM];
    size_t length;

    if (!value.text || links->has_base)
        return;
    links->has_base = true;
    if ((length = url_resolve(&links->base, value.text, value.length, url)))
        url_base_set(&links->base, url, length);
}

static void on_link(const struct tag *tag, struct links *links)
{
    struct span rel = value_of(tag, "rel"), href = value_of(tag, "href");
    bool is_part = contains_word(rel, "stylesheet") || contains_word(rel, "icon") ||
                   contains_word(rel, "preload") || contains_word(rel, "manifest") ||
                   contains_word(rel, "apple-touch-icon");

    if (contains_word(rel, "preconnect") || contains_word(rel, "dns-prefetch"))
        return;
    if (contains_word(rel, "canonical") && href.text)
        url_resolve(&links->base, href.text, href.length, links->canonical);
    add(links, href, is_part ? LINK_PART : LINK_PAGE, contains_word(rel, "nofollow"));
}

/* "5; url=next.html" */
static void on_refresh(struct span content, struct links *links)
{
    const char *at = content.text, *end = content.text + content.length;

    while (at + 4 <= end && strncasecmp(at, "url=", 4))
        at++;
    if (at + 4 > end)
        return;
    at += 4;
    if (at < end && (*at == '"' || *at == '\''))
        at++, end -= end[-1] == at[-1] && end - 1 > at;
    add(links, (struct span){at, (size_t)(end - at)}, LINK_PAGE, false);
}

static void on_meta(const struct tag *tag, struct links *links)
{
    struct span content = value_of(tag, "content");

    if (content.text && is(value_of(tag, "name"), "robots"))
        links_robots(links, content.text, content.length);
    else if (content.text && is(value_of(tag, "http-equiv"), "refresh"))
        on_refresh(content, links);
}

static void nothing(const struct tag *tag, struct links *links)
{
    (void)tag, (void)links;
}

/* What is done at which tag. */
static const struct rule {
    const char *name;
    void (*act)(const struct tag *tag, struct links *links);
    bool is_raw; /* it holds text up to its end tag, and no tags */
} rules[] = {
    {"a", on_anchor, false},      {"area", on_anchor, false},     {"img", on_part, false},
    {"link", on_link, false},     {"script", on_part, true},      {"meta", on_meta, false},
    {"frame", on_frame, false},   {"iframe", on_frame, false},    {"base", on_base, false},
    {"style", nothing, true},     {"title", nothing, true},       {"textarea", nothing, true},
    {"source", on_part, false},   {"video", on_part, false},      {"audio", on_part, false},
    {"embed", on_part, false},    {"object", on_part, false},     {"input", on_part, false},
    {"track", on_part, false},    {"body", on_background, false}, {"table", on_background, false},
    {"td", on_background, false}, {"th", on_background, false},   {"xmp", nothing, true},
    {"noembed", nothing, true},   {"plaintext", nothing, false},
};

/* Rules by the letter that their names begin with: a mask over `rules`. */
static uint32_t rules_of_letter(char letter)
{
    static uint32_t masks[32]; /* made at the first call; each process has its own */

    if (!masks[1]) {
        for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
            masks[rules[i].name[0] & 31] |= 1u << i;
    }
    return masks[letter & 31];
}

static const struct rule *find_rule(struct span name)
{
    uint32_t mask = rules_of_letter(name.text[0]);

    for (; mask; mask &= mask - 1) {
        const struct rule *rule = &rules[__builtin_ctz(mask)];

        if (is(name, rule->name))
            return rule;
    }
    return NULL;
}

/* Behind the > that ends a tag of no interest; a > in quotes does not. */
static const char *pass_tag(const char *at, const char *end)
{
    const char *close = memchr(at, '>', (size_t)(end - at));
    struct tag tag;

    if (!close)
        return end;
    if (!memchr(at, '"', (size_t)(close - at)) && !memchr(at, '\'', (size_t)(close - at)))
        return close + 1;
    read_attributes(at, end, &tag);
    return tag.end;
}

static bool is_end_of_name(char byte)
{
    return is_space(byte) || byte == '/' || byte == '>';
}

/* The end tag of raw text; the end of the page if there is none. */
static const char *find_end_tag(const char *at, const char *end, struct span name)
{
    while ((at = memchr(at, '<', (size_t)(end - at)))) {
        if ((size_t)(end - at) < name.length + 2)
            return end;
        if (at[1] == '/' && !strncasecmp(at + 2, name.text, name.length) &&
            (at + 2 + name.length == end || is_end_of_name(at[2 + name.length])))
            return at;
        at++;
    }
    return end;
}

/* White space becomes one blank. */
static void take_title(struct links *links, struct span text)
{
    size_t size = 0;

    for (size_t i = 0; i < text.length && size + 1 < sizeof links->title; i++) {
        if (!is_space(text.text[i]))
            links->title[size++] = text.text[i];
        else if (size && links->title[size - 1] != ' ')
            links->title[size++] = ' ';
    }
    if (size + 1 == sizeof links->title) { /* a character that was cut off goes */
        while (size && (links->title[size - 1] & 0xc0) == 0x80)
            size--;
        size -= size && links->title[size - 1] & 0x80;
    }
    size = entities_decode(links->title, size, links->title);
    while (size && links->title[size - 1] == ' ')
        size--;
    links->title[size] = 0;
}

static const char *take_raw(const struct tag *tag, const char *end, struct links *links)
{
    const char *close = find_end_tag(tag->end, end, tag->name);
    struct span text = {tag->end, (size_t)(close - tag->end)};

    if (is(tag->name, "style"))
        scan_css(text.text, text.length, links);
    else if (is(tag->name, "title") && !links->title[0])
        take_title(links, text);
    return close;
}

/* A comment ends with --> or --!>, and <!--> is a whole one. */
static const char *pass_comment(const char *at, const char *end)
{
    bool is_comment = at + 4 <= end && !memcmp(at, "<!--", 4);
    const char *close = at + (is_comment ? 4 : 0);

    while ((close = memchr(close, '>', (size_t)(end - close)))) {
        if (!is_comment || !memcmp(close - 2, "--", 2) || (close - at >= 7 && !memcmp(close - 3, "--!", 3)))
            return close + 1;
        close++;
    }
    return end;
}

/* `at` is at a <; returns where to look for the next one. */
static const char *scan_tag(const char *at, const char *end, struct links *links)
{
    const struct rule *rule;
    struct tag tag;
    const char *name = at + 1;

    if (name == end)
        return end;
    if (*name == '!' || *name == '?')
        return pass_comment(at, end);
    if (*name == '/')
        return pass_tag(name, end);
    if (!((*name | 32) >= 'a' && (*name | 32) <= 'z'))
        return name;
    for (at = name; at < end && *at != '>' && *at != '/' && !is_space(*at); at++)
        ;
    tag.name = (struct span){name, (size_t)(at - name)};
    if (!(rule = find_rule(tag.name)))
        return pass_tag(at, end);
    read_attributes(at, end, &tag);
    rule->act(&tag, links);
    return rule->is_raw ? take_raw(&tag, end, links) : tag.end;
}

void scan_html(const char *text, size_t size, struct links *links)
{
    const char *at = text, *end = text + size;

    while (at < end && (at = memchr(at, '<', (size_t)(end - at))))
        at = scan_tag(at, end, links);
}

/* The text at `at`, in quotes or up to `stop`. Not further than a URL may be long, or a sheet of beginnings without
 * ends would be read again and again. */
static struct span css_text(const char *at, const char *end, char stop)
{
    const char *close;

    if (end - at > URL_MOST + 64)
        end = at + URL_MOST + 64;
    while (at < end && is_space(*at))
        at++;
    if (at < end && (*at == '"' || *at == '\''))
        stop = *at++;
    close = memchr(at, stop, (size_t)(end - at));
    if (!close)
        close = at;
    while (close > at && is_space(close[-1]))
        close--;
    return (struct span){at, (size_t)(close - at)};
}

/* url(…) and @import "…", outside of comments. */
void scan_css(const char *text, size_t size, struct links *links)
{
    const char *end = text + size;

    for (const char *at = text; at + 4 < end; at++) {
        struct span url = {NULL, 0};

        if (at[0] == '/' && at[1] == '*') {
            if (!(at = memmem(at + 2, (size_t)(end - at - 2), "*/", 2)))
                return;
            at++;
        } else if ((*at == 'u' || *at == 'U') && !strncasecmp(at, "url(", 4)) {
            url = css_text(at + 4, end, ')');
        } else if (*at == '@' && end - at > 8 && !strncasecmp(at, "@import", 7)) {
            url = css_text(at + 7, end, ';');
            if (url.length && !strncasecmp(url.text, "url(", 4 < url.length ? 4 : url.length))
                url.length = 0; /* comes next */
        }
        if (url.length && url.length <= URL_MOST && strncasecmp(url.text, "data:", 5))
            add(links, url, LINK_PART, false);
    }
}

static bool begins(const char *at, const char *end, const char *word)
{
    return (size_t)(end - at) >= strlen(word) && !memcmp(at, word, strlen(word));
}

/* A sitemap of text has a URL in each line. */
static void scan_lines(const char *at, const char *end, struct links *links)
{
    for (const char *stop; at < end; at = stop + 1) {
        if (!(stop = memchr(at, '\n', (size_t)(end - at))))
            stop = end;
        if (begins(at, end, "http"))
            links_add(links, at, (size_t)(stop - at), LINK_PAGE, false);
    }
}

/* The text of the <loc> in front of `at`. */
static struct span read_loc(const char *at, const char *end)
{
    const char *close;

    while (at < end && is_space(*at))
        at++;
    if (begins(at, end, "<![CDATA[")) {
        at += 9;
        close = memmem(at, (size_t)(end - at), "]]>", 3);
    } else {
        close = memchr(at, '<', (size_t)(end - at));
    }
    return (struct span){at, close ? (size_t)(close - at) : 0};
}

/* Each <loc> of a urlset is a page, and of a sitemapindex a sitemap. */
void scan_sitemap(const char *text, size_t size, struct links *links)
{
    const char *end = text + size, *at = text;
    size_t head = size < 4096 ? size : 4096;
    enum link_kind kind = memmem(text, head, "<sitemapindex", 13) ? LINK_SITEMAP : LINK_PAGE;

    if (begins(at, end, "\xef\xbb\xbf"))
        at += 3;
    if (begins(at, end, "http"))
        scan_lines(at, end, links);
    while (at < end && (at = memmem(at, (size_t)(end - at), "<loc>", 5))) {
        struct span url = read_loc(at + 5, end);

        add(links, url, kind, false);
        at = url.text + url.length;
    }
}
