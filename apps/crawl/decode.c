/* SPDX-License-Identifier: BSD-3-Clause */
/* The size of what is unpacked is bounded before it is unpacked, so a bomb costs no more than a page of that size. */
#include "decode.h"

#include <ctype.h>
#include <errno.h>
#include <iconv.h>
#include <libdeflate.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_MOST 1024 /* bytes in which <meta charset> is looked for; the HTML standard's number */

const char *head_find(const char *head, size_t size, const char *name, size_t *length)
{
    size_t name_length = strlen(name);
    const char *end = head + size;

    for (const char *line = head, *next; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line));

        next = stop ? stop + 1 : end;
        if ((size_t)(next - line) <= name_length || line[name_length] != ':' ||
            strncasecmp(line, name, name_length))
            continue;
        for (line += name_length + 1; line < next && (*line == ' ' || *line == '\t'); line++)
            ;
        for (stop = next; stop > line && isspace((unsigned char)stop[-1]); stop--)
            ;
        *length = (size_t)(stop - line);
        return line;
    }
    return NULL;
}

typedef enum libdeflate_result unpack_function(struct libdeflate_decompressor *decompressor, const void *in,
                                               size_t in_size, void *out, size_t out_size, size_t *used,
                                               size_t *made);

/* Files of gzip may be several members, one after the other. */
static enum libdeflate_result unpack(struct libdeflate_decompressor *decompressor, const char *body,
                                     size_t size, unpack_function *function, struct buffer *text, size_t most)
{
    enum libdeflate_result result = LIBDEFLATE_BAD_DATA;
    size_t used, made;

    while (size) {
        result = function(decompressor, body, size, text->bytes + text->size, most - text->size, &used,
                          &made);
        if (result)
            return result;
        text->size += made;
        body += used;
        size -= used;
        if (function != libdeflate_gzip_decompress_ex || size < 18 || body[0] != '\x1f')
            break; /* what follows is no member: it is passed over, as gzip does */
    }
    return result;
}

const char *decode_packed(const char *body, size_t size, const char *encoding, size_t most,
                          struct buffer *text)
{
    static struct libdeflate_decompressor *decompressor; /* this process's own */
    bool is_gzip = !strcasecmp(encoding, "gzip") || !strcasecmp(encoding, "x-gzip");
    enum libdeflate_result result;

    text->size = 0;
    if (!is_gzip && strcasecmp(encoding, "deflate"))
        return "its Content-Encoding is not known";
    if (!size)
        return NULL;
    if (!decompressor && !(decompressor = libdeflate_alloc_decompressor()))
        return "there is no memory to unpack it";
    buffer_reserve(text, most);
    result = unpack(decompressor, body, size,
                    is_gzip ? libdeflate_gzip_decompress_ex : libdeflate_zlib_decompress_ex, text, most);
    if (result == LIBDEFLATE_BAD_DATA && !is_gzip) { /* some servers send it without its frame */
        text->size = 0;
        result = unpack(decompressor, body, size, libdeflate_deflate_decompress_ex, text, most);
    }
    return result == LIBDEFLATE_SUCCESS              ? NULL
           : result == LIBDEFLATE_INSUFFICIENT_SPACE ? "unpacked it is larger than --max-size"
                                                     : "what is packed is damaged";
}

static void copy_charset(const char *value, size_t length, char charset[32])
{
    size_t size = 0;

    while (length && (*value == '"' || *value == '\'' || *value == ' '))
        value++, length--;
    while (size < length && size < 31 &&
           (isalnum((unsigned char)value[size]) || strchr("-_:.", value[size]))) {
        charset[size] = (char)tolower((unsigned char)value[size]);
        size++;
    }
    charset[size] = 0;
}

static const char *find_word(const char *text, size_t size, const char *word)
{
    size_t length = strlen(word);

    for (size_t i = 0; i + length <= size; i++) {
        if (!strncasecmp(text + i, word, length))
            return text + i + length;
    }
    return NULL;
}

void decode_charset(const char *text, size_t size, const char *type, char charset[32])
{
    const char *value;

    charset[0] = 0;
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        strcpy(charset, "utf-8");
    else if (size >= 2 && !memcmp(text, "\xff\xfe", 2))
        strcpy(charset, "utf-16le");
    else if (size >= 2 && !memcmp(text, "\xfe\xff", 2))
        strcpy(charset, "utf-16be");
    else if ((value = find_word(type, strlen(type), "charset=")))
        copy_charset(value, strlen(value), charset);
    else if ((value = find_word(text, size < HEAD_MOST ? size : HEAD_MOST, "charset=")))
        copy_charset(value, (size_t)(text + size - value), charset);
}

/* Goes on over what is ASCII, eight bytes at a time. */
static const unsigned char *pass_ascii(const unsigned char *at, const unsigned char *end)
{
    uint64_t bytes;

    for (; end - at >= 8; at += 8) {
        memcpy(&bytes, at, sizeof bytes);
        if (bytes & 0x8080808080808080u)
            break;
    }
    return at;
}

static bool is_utf8(const unsigned char *at, size_t size)
{
    for (const unsigned char *end = at + size; (at = pass_ascii(at, end)) < end;) {
        size_t length = *at < 0x80   ? 1
                        : *at < 0xc2 ? 0
                        : *at < 0xe0 ? 2
                        : *at < 0xf0 ? 3
                        : *at < 0xf5 ? 4
                                     : 0;

        if (!length || length > (size_t)(end - at))
            return false;
        for (size_t i = 1; i < length; i++) {
            if ((at[i] & 0xc0) != 0x80)
                return false;
        }
        at += length;
    }
    return true;
}

/* Bytes that stand for nothing become U+FFFD, one each. */
static void convert(iconv_t conversion, const char *text, size_t size, struct buffer *utf8)
{
    union {
        const char *text;
        char *in;
    } from = {text}; /* iconv() does not write there, though its type says so */
    char *in = from.in;

    while (size) {
        size_t room = size * 2 + 64;
        char *out = buffer_reserve(utf8, room);
        size_t left = room;
        bool failed = iconv(conversion, &in, &size, &out, &left) == (size_t)-1;

        utf8->size += room - left;
        if (failed && errno != E2BIG) {
            buffer_add(utf8, "\xef\xbf\xbd", 3);
            in += size != 0;
            size -= size != 0;
        }
    }
}

/* Browsers read Latin-1 as Windows-1252, and so does what names no set and is not UTF-8. */
static const char *set_to_open(const char *charset)
{
    static const char *const latin[] = {"", "iso-8859-1", "latin1", "us-ascii", "ascii", "utf-8", "utf8"};

    for (size_t i = 0; i < sizeof latin / sizeof latin[0]; i++) {
        if (!strcmp(charset, latin[i]))
            return "windows-1252";
    }
    return charset;
}

bool decode_to_utf8(const char *text, size_t size, const char *charset, struct buffer *utf8)
{
    bool may_be_utf8 = !*charset || !strcmp(charset, "utf-8") || !strcmp(charset, "utf8");
    iconv_t conversion;

    if ((may_be_utf8 && is_utf8((const unsigned char *)text, size)) || !strcmp(charset, "utf-8") ||
        !strcmp(charset, "utf8"))
        return false; /* Gumbo replaces what is damaged */
    conversion = iconv_open("utf-8", set_to_open(charset));
    if (conversion == (iconv_t)-1)
        conversion = iconv_open("utf-8", "windows-1252");
    if (conversion == (iconv_t)-1)
        return false;
    utf8->size = 0;
    convert(conversion, text, size, utf8);
    iconv_close(conversion);
    return true;
}
