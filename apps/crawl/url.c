/* SPDX-License-Identifier: BSD-3-Clause */
/* A reference goes through three steps: white space as browsers drop it, the parts by RFC 3986, and each part in its
 * normal form. Whatever the input, what comes out consists of printable ASCII. */
#include "url.h"

#include <ctype.h>
#include <idn2.h>
#include <string.h>
#include <strings.h>

#define NAME_ROOM      512 /* of a host, with its escapes undone */
#define AUTHORITY_ROOM 1024

/* What is written, and whether it has become too long. */
struct writer {
    char *bytes;
    size_t size;
    bool is_full;
};

static void put(struct writer *writer, char byte)
{
    if (writer->size < URL_MOST)
        writer->bytes[writer->size++] = byte;
    else
        writer->is_full = true;
}

static void put_bytes(struct writer *writer, const char *bytes, size_t size)
{
    if (size > URL_MOST - writer->size) {
        writer->is_full = true;
        return;
    }
    memcpy(writer->bytes + writer->size, bytes, size);
    writer->size += size;
}

static void put_escaped(struct writer *writer, unsigned char byte)
{
    static const char digits[] = "0123456789ABCDEF";

    put(writer, '%');
    put(writer, digits[byte >> 4]);
    put(writer, digits[byte & 15]);
}

static int hex_digit(unsigned char byte)
{
    return byte >= '0' && byte <= '9'   ? byte - '0'
           : byte >= 'a' && byte <= 'f' ? byte - 'a' + 10
           : byte >= 'A' && byte <= 'F' ? byte - 'A' + 10
                                        : -1;
}

static bool is_unreserved(unsigned char byte)
{
    return byte < 0x80 && (isalnum(byte) || (byte && strchr("-._~", byte)));
}

/* Whether a byte may stand in a path or a query as it is. */
static bool is_plain(unsigned char byte)
{
    static const signed char plain[256] = {
        ['!'] = 1, ['$'] = 1, ['&'] = 1, ['\''] = 1, ['('] = 1, [')'] = 1, ['*'] = 1, ['+'] = 1, [','] = 1,
        ['-'] = 1, ['.'] = 1, ['/'] = 1, ['0'] = 1,  ['1'] = 1, ['2'] = 1, ['3'] = 1, ['4'] = 1, ['5'] = 1,
        ['6'] = 1, ['7'] = 1, ['8'] = 1, ['9'] = 1,  [':'] = 1, [';'] = 1, ['='] = 1, ['@'] = 1, ['_'] = 1,
        ['~'] = 1, ['A'] = 1, ['B'] = 1, ['C'] = 1,  ['D'] = 1, ['E'] = 1, ['F'] = 1, ['G'] = 1, ['H'] = 1,
        ['I'] = 1, ['J'] = 1, ['K'] = 1, ['L'] = 1,  ['M'] = 1, ['N'] = 1, ['O'] = 1, ['P'] = 1, ['Q'] = 1,
        ['R'] = 1, ['S'] = 1, ['T'] = 1, ['U'] = 1,  ['V'] = 1, ['W'] = 1, ['X'] = 1, ['Y'] = 1, ['Z'] = 1,
        ['a'] = 1, ['b'] = 1, ['c'] = 1, ['d'] = 1,  ['e'] = 1, ['f'] = 1, ['g'] = 1, ['h'] = 1, ['i'] = 1,
        ['j'] = 1, ['k'] = 1, ['l'] = 1, ['m'] = 1,  ['n'] = 1, ['o'] = 1, ['p'] = 1, ['q'] = 1, ['r'] = 1,
        ['s'] = 1, ['t'] = 1, ['u'] = 1, ['v'] = 1,  ['w'] = 1, ['x'] = 1, ['y'] = 1, ['z'] = 1,
    };

    return plain[byte];
}

/* Section 6.2.2: %7e is ~, %3a is %3A; what may not stand there as it is goes escaped. */
static void put_normal(struct writer *writer, const char *text, size_t length, bool is_query)
{
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];

        if (byte == '%' && i + 2 < length && hex_digit((unsigned char)text[i + 1]) >= 0 &&
            hex_digit((unsigned char)text[i + 2]) >= 0) {
            unsigned char meant = (unsigned char)(hex_digit((unsigned char)text[i + 1]) << 4 |
                                                  hex_digit((unsigned char)text[i + 2]));

            if (is_unreserved(meant))
                put(writer, (char)meant);
            else
                put_escaped(writer, meant);
            i += 2;
        } else if (is_plain(byte) || (byte == '?' && is_query)) {
            put(writer, (char)byte);
        } else {
            put_escaped(writer, byte);
        }
    }
}

/* Section 5.2.4, in place: takes "." and ".." out of a path that begins with a slash. */
static size_t remove_dots(char *path, size_t length)
{
    size_t to = 0;

    for (size_t from = 0; from < length;) {
        size_t end = from + 1;

        while (end < length && path[end] != '/')
            end++;
        size_t size = end - from - 1; /* of the segment behind the slash */
        bool is_dot = size == 1 && path[from + 1] == '.';
        bool is_up = size == 2 && path[from + 1] == '.' && path[from + 2] == '.';

        if (is_up) {
            while (to && path[--to] != '/')
                ;
        }
        if (is_dot || is_up) {
            if (end == length)
                path[to++] = '/';
        } else {
            memmove(path + to, path + from, end - from);
            to += end - from;
        }
        from = end;
    }
    return to;
}

static bool put_port(struct writer *writer, const char *port, size_t length, bool is_https)
{
    unsigned number = 0;

    for (size_t i = 0; i < length; i++) {
        if (port[i] < '0' || port[i] > '9' || (number = number * 10 + (unsigned)(port[i] - '0')) > 65535)
            return false;
    }
    if (!length || number == (is_https ? 443u : 80u))
        return true;
    char digits[6];
    size_t count = 0;

    do
        digits[count++] = (char)('0' + number % 10);
    while (number /= 10);
    put(writer, ':');
    while (count)
        put(writer, digits[--count]);
    return true;
}

static bool is_host_byte(unsigned char byte)
{
    return byte < 0x80 && (isalnum(byte) || byte == '.' || byte == '-' || byte == '_');
}

/* How long the name is that an authority begins with; 0 if it is no name that can be asked. */
static size_t host_length(const char *authority, size_t length)
{
    size_t at = 0;

    if (length && authority[0] == '[') {
        while (at < length && authority[at] != ']')
            at++;
        for (size_t i = 1; i < at; i++) {
            if (hex_digit((unsigned char)authority[i]) < 0 && authority[i] != ':' && authority[i] != '.')
                return 0;
        }
        return at < length && at > 1 ? at + 1 : 0;
    }
    while (at < length && is_host_byte((unsigned char)authority[at]))
        at++;
    return at;
}

/* A name with its escapes undone; false if there is something in it that no name has. */
static bool unescape_host(const char *host, size_t length, char name[NAME_ROOM])
{
    size_t size = 0;

    for (size_t i = 0; i < length; i++) {
        int byte = (unsigned char)host[i], high = -1, low = -1;

        if (byte == '%' && i + 2 < length) {
            high = hex_digit((unsigned char)host[i + 1]);
            low = hex_digit((unsigned char)host[i + 2]);
            byte = high < 0 || low < 0 ? 0 : high << 4 | low;
            i += 2;
        }
        if (size + 1 == NAME_ROOM || (byte < 0x80 && !is_host_byte((unsigned char)byte)))
            return false;
        name[size++] = (char)byte;
    }
    name[size] = 0;
    return size;
}

/* An authority whose name has escapes, or letters of other scripts, in ASCII as it is looked up; 0 if it cannot be. */
static size_t plain_authority(const char *authority, size_t length, char plain[AUTHORITY_ROOM])
{
    const char *colon = memchr(authority, ':', length);
    size_t host = colon ? (size_t)(colon - authority) : length, size;
    char name[NAME_ROOM];
    uint8_t *ascii = NULL;

    if (!unescape_host(authority, host, name) ||
        idn2_lookup_u8((const uint8_t *)name, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
        return 0;
    size = strlen((const char *)ascii);
    if (size + length - host < AUTHORITY_ROOM) {
        memcpy(plain, ascii, size);
        memcpy(plain + size, authority + host, length - host);
        size += length - host;
    } else {
        size = 0;
    }
    idn2_free(ascii);
    return size;
}

/* Whether the name is no plain one. */
static bool is_odd(const char *authority, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (authority[i] == '%' || authority[i] & 0x80)
            return true;
    }
    return false;
}

static bool put_authority(struct writer *writer, const char *authority, size_t length, bool is_https)
{
    for (size_t i = length; i-- > 0;) {
        if (authority[i] == '@') { /* a name and a password are nothing that a page may make us send */
            authority += i + 1;
            length -= i + 1;
            break;
        }
    }
    char plain[AUTHORITY_ROOM];

    if (is_odd(authority, length)) {
        if (!(length = plain_authority(authority, length, plain)))
            return false;
        authority = plain;
    }
    size_t host = host_length(authority, length), name = host;

    if (!host || (host < length && authority[host] != ':'))
        return false;
    if (name > 1 && authority[name - 1] == '.')
        name--;
    put_bytes(writer, is_https ? "https://" : "http://", is_https ? 8 : 7);
    for (size_t i = 0; i < name; i++)
        put(writer, (char)tolower((unsigned char)authority[i]));
    return host == length || put_port(writer, authority + host + 1, length - host - 1, is_https);
}

/* Where "scheme:" ends; 0 if there is none. */
static size_t scheme_length(const char *text, size_t length)
{
    size_t at = 0;

    if (!length || !isalpha((unsigned char)text[0]))
        return 0;
    while (at < length &&
           (isalnum((unsigned char)text[at]) || text[at] == '+' || text[at] == '-' || text[at] == '.'))
        at++;
    return at < length && text[at] == ':' ? at + 1 : 0;
}

/* Path and query behind an origin that is written. */
static void put_path(struct writer *writer, const struct url_base *base, size_t directory, const char *rest,
                     size_t length)
{
    const char *query = memchr(rest, '?', length);
    size_t path_length = query ? (size_t)(query - rest) : length, path = writer->size;

    if (directory)
        put_bytes(writer, base->text + base->origin_length, directory);
    else if (!path_length)
        put(writer, '/');
    put_normal(writer, rest, path_length, false);
    if (!writer->is_full)
        writer->size = path + remove_dots(writer->bytes + path, writer->size - path);
    if (query) {
        put(writer, '?');
        put_normal(writer, query + 1, length - path_length - 1, true);
    }
}

/* Section 5.2.2 for text without white space around it and without a fragment. */
static bool put_reference(struct writer *writer, const struct url_base *base, const char *text, size_t length)
{
    size_t scheme = scheme_length(text, length), end;
    bool is_https;

    if (scheme) {
        is_https = scheme == 6 && !strncasecmp(text, "https", 5);
        if (!is_https && !(scheme == 5 && !strncasecmp(text, "http", 4)))
            return false;
        text += scheme;
        length -= scheme;
        if (length < 2 || text[0] != '/' || text[1] != '/')
            return false;
    } else if (!base) {
        return false;
    } else {
        is_https = base->text[4] == 's';
    }
    if (length >= 2 && text[0] == '/' && text[1] == '/') {
        for (end = 2; end < length && text[end] != '/' && text[end] != '?'; end++)
            ;
        if (!put_authority(writer, text + 2, end - 2, is_https))
            return false;
        put_path(writer, base, 0, text + end, length - end);
        return true;
    }
    if (!length || text[0] == '?') {
        put_bytes(writer, base->text, length ? base->path_length : base->length);
        put_normal(writer, text, length, true);
        return true;
    }
    put_bytes(writer, base->text, base->origin_length);
    put_path(writer, base, text[0] == '/' ? 0 : base->directory_length - base->origin_length, text, length);
    return true;
}

/* As browsers read an attribute: no white space around, no line breaks and tabs within, \ for / before the query.
 * Returns the new length; `clean` has room for URL_MOST bytes. */
static size_t clean_reference(const char *text, size_t length, char *clean)
{
    size_t size = 0;
    bool in_query = false;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\t' || text[i] == '\n' || text[i] == '\r')
            continue;
        if (size == URL_MOST)
            return SIZE_MAX;
        in_query |= text[i] == '?';
        clean[size++] = text[i] == '\\' && !in_query ? '/' : text[i];
    }
    return size;
}

size_t url_resolve(const struct url_base *base, const char *reference, size_t length, char url[URL_ROOM])
{
    struct writer writer = {url, 0, false};
    char clean[URL_MOST];
    const char *fragment;
    bool is_clean = true;

    while (length && (unsigned char)reference[0] <= ' ')
        reference++, length--;
    if ((fragment = memchr(reference, '#', length)))
        length = (size_t)(fragment - reference);
    while (length && (unsigned char)reference[length - 1] <= ' ')
        length--;
    for (size_t i = 0; i < length && is_clean; i++)
        is_clean = reference[i] != '\\' && reference[i] != '\t' && reference[i] != '\n' &&
                   reference[i] != '\r';
    if (!is_clean) {
        if ((length = clean_reference(reference, length, clean)) == SIZE_MAX)
            return 0;
        reference = clean;
    }
    if (!put_reference(&writer, base, reference, length) || writer.is_full)
        return 0;
    url[writer.size] = 0;
    return writer.size;
}

bool url_base_set(struct url_base *base, const char *text, size_t length)
{
    struct url_base set;
    const char *query;

    if (!(set.length = url_resolve(NULL, text, length, set.text)))
        return false;
    set.origin_length = url_origin_length(set.text);
    query = strchr(set.text, '?');
    set.path_length = query ? (size_t)(query - set.text) : set.length;
    set.directory_length = set.path_length;
    while (set.text[set.directory_length - 1] != '/')
        set.directory_length--;
    *base = set;
    return true;
}

size_t url_origin_length(const char *url)
{
    const char *host = strstr(url, "://") + 3;

    return (size_t)(host - url) + strcspn(host, "/?");
}

const char *url_host(const char *url, size_t *length)
{
    const char *host = strstr(url, "://") + 3;

    if (host[0] == '[')
        *length = strcspn(host, "]") + 1;
    else
        *length = strcspn(host, ":/?");
    return host;
}

/* Eight bytes at a time; each step is a bijection, and the multipliers are odd numbers without a pattern. */
uint64_t url_fingerprint(const char *url, size_t length)
{
    uint64_t hash = 0x9e3779b97f4a7c15u ^ (length * 0xff51afd7ed558ccdu), word;

    for (; length >= 8; length -= 8, url += 8) {
        memcpy(&word, url, 8);
        word *= 0x87c37b91114253d5u;
        word ^= word >> 31;
        hash = (hash ^ word) * 0x4cf5ad432745937fu;
        hash ^= hash >> 29;
    }
    word = 0;
    memcpy(&word, url, length);
    word *= 0x87c37b91114253d5u;
    word ^= word >> 31;
    hash = (hash ^ word) * 0xc4ceb9fe1a85ec53u;
    hash ^= hash >> 32;
    return hash ? hash : 1; /* 0 is no URL */
}
