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

#define MOST_LAYERS 5
#define HEAD_MOST   1024 /* bytes in which <meta charset> is looked for; the HTML standard's number */

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

/* Puts what the body is unpacked to in its place. */
static const char *unpack_body(struct decoding *decoding, bool is_gzip, struct buffer *text)
{
    static struct libdeflate_decompressor *decompressor; /* this process's own */
    struct buffer packed = {0};                          /* what was unpacked once, and is packed still */
    const char *body = decoding->body;
    size_t size = decoding->size;
    enum libdeflate_result result;

    if (!decompressor && !(decompressor = libdeflate_alloc_decompressor()))
        return "there is no memory to unpack it";
    if (body == text->bytes) {
        packed = *text;
        *text = (struct buffer){0};
    }
    text->size = 0;
    buffer_reserve(text, decoding->most);
    result = unpack(decompressor, body, size,
                    is_gzip ? libdeflate_gzip_decompress_ex : libdeflate_zlib_decompress_ex, text,
                    decoding->most);
    if (result == LIBDEFLATE_BAD_DATA && !is_gzip) { /* some servers send it without its frame */
        text->size = 0;
        result = unpack(decompressor, body, size, libdeflate_deflate_decompress_ex, text, decoding->most);
    }
    buffer_free(&packed);
    decoding->body = text->bytes;
    decoding->size = text->size;
    return result == LIBDEFLATE_SUCCESS              ? NULL
           : result == LIBDEFLATE_INSUFFICIENT_SPACE ? "unpacked it is larger than --max-size"
                                                     : "what is packed is damaged";
}

static bool is_word(const char *text, size_t length, const char *word)
{
    return length == strlen(word) && !strncasecmp(text, word, length);
}

/* Undoes one encoding. What is no name of one, as "utf-8", packs nothing: so browsers see it. */
static const char *undo(struct decoding *decoding, const char *encoding, size_t length, struct buffer *text)
{
    static const char *const others[] = {"br", "zstd", "compress", "x-compress", "dcb", "dcz"};
    bool is_gzip = is_word(encoding, length, "gzip") || is_word(encoding, length, "x-gzip");

    if (decoding->size && (is_gzip || is_word(encoding, length, "deflate")))
        return unpack_body(decoding, is_gzip, text);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (is_word(encoding, length, others[i])) {
            decoding->unknown = encoding;
            decoding->unknown_length = length;
            return ", and gzip was asked for";
        }
    }
    return NULL;
}

const char *decode_packed(struct decoding *decoding, const char *encodings, size_t length,
                          struct buffer *text)
{
    const char *error = NULL;
    size_t end = encodings ? length : 0;

    for (unsigned layers = 0; end && !error; layers++) { /* what was done last comes last in the list */
        size_t stop = end, begin;

        while (end && encodings[end - 1] != ',')
            end--;
        for (begin = end; begin < stop && isspace((unsigned char)encodings[begin]); begin++)
            ;
        end -= end != 0;
        while (stop > begin && isspace((unsigned char)encodings[stop - 1]))
            stop--;
        error = layers < MOST_LAYERS ? undo(decoding, encodings + begin, stop - begin, text)
                                     : "it is packed more often than 5 times";
    }
    if (!error && decoding->is_file && decoding->size > 2 && !memcmp(decoding->body, "\x1f\x8b", 2))
        error = unpack_body(decoding, true, text); /* sitemap.xml.gz */
    return error;
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

bool decode_is_markup(const char *text, size_t size)
{
    size_t at = size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3) ? 3 : 0;

    while (at < size && isspace((unsigned char)text[at]))
        at++;
    return at < size && text[at] == '<';
}

/* What <?xml encoding="…"?> or <meta charset> says: behind the word and a =, which may have blanks around it. */
static const char *find_label(const char *text, size_t size, const char *word)
{
    const char *end = text + size;

    while ((text = find_word(text, (size_t)(end - text), word))) {
        const char *at = text;

        while (at < end && isspace((unsigned char)*at))
            at++;
        if (at < end && *at == '=') {
            for (at++; at < end && isspace((unsigned char)*at); at++)
                ;
            return at;
        }
    }
    return NULL;
}

/* A set of two bytes a character cannot be named in bytes of one: who says so there means UTF-8. */
static void read_label(const char *text, size_t size, char charset[32])
{
    size_t head = size < HEAD_MOST ? size : HEAD_MOST;
    const char *declared = head > 5 && !memcmp(text, "<?xml", 5) ? memchr(text, '>', head) : NULL;
    const char *value = declared ? find_label(text, (size_t)(declared - text), "encoding") : NULL;

    if (!value)
        value = find_label(text, head, "charset");
    if (value)
        copy_charset(value, (size_t)(text + size - value), charset);
    if (!strncmp(charset, "utf-16", 6) || !strncmp(charset, "utf-32", 6))
        strcpy(charset, "utf-8");
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
    else
        read_label(text, size, charset);
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

/* What browsers read as another set, by the WHATWG's list of labels: mostly one that has more characters. What names no
 * set and is not UTF-8 is Windows-1252. */
static const char *set_to_open(const char *charset)
{
    static const char *const sets[][2] = {
        {"", "windows-1252"},        {"iso-8859-1", "windows-1252"},
        {"latin1", "windows-1252"},  {"us-ascii", "windows-1252"},
        {"ascii", "windows-1252"},   {"utf-8", "windows-1252"},
        {"utf8", "windows-1252"},    {"iso-8859-9", "windows-1254"},
        {"latin5", "windows-1254"},  {"iso-8859-11", "windows-874"},
        {"tis-620", "windows-874"},  {"gb2312", "gb18030"},
        {"gbk", "gb18030"},          {"x-gbk", "gb18030"},
        {"shift_jis", "cp932"},      {"shift-jis", "cp932"},
        {"sjis", "cp932"},           {"x-sjis", "cp932"},
        {"windows-31j", "cp932"},    {"euc-kr", "cp949"},
        {"ks_c_5601-1987", "cp949"}, {"big5", "big5-hkscs"},
        {"utf-16", "utf-16le"},
    };

    for (size_t i = 0; i < sizeof sets / sizeof sets[0]; i++) {
        if (!strcmp(charset, sets[i][0]))
            return sets[i][1];
    }
    return charset;
}

/* Whether a text of that set which has ASCII bytes only is ASCII. */
static bool has_ascii(const char *charset)
{
    return strncmp(charset, "utf-", 4) && strncmp(charset, "iso-2022", 8) && strcmp(charset, "hz-gb-2312");
}

static bool is_ascii(const char *text, size_t size)
{
    const unsigned char *at = (const unsigned char *)text, *end = at + size;

    for (at = pass_ascii(at, end); at < end && *at < 0x80; at++)
        ;
    return at == end;
}

bool decode_from_utf8(const char *text, size_t size, const char *charset, struct buffer *bytes)
{
    iconv_t conversion = iconv_open(set_to_open(charset), "utf-8");
    union {
        const char *text;
        char *in;
    } from = {text};
    char *in = from.in, *out = buffer_reserve(bytes, size * 4 + 16), *begin = out;
    size_t left = size * 4 + 16;
    bool is_done = conversion != (iconv_t)-1 && iconv(conversion, &in, &size, &out, &left) != (size_t)-1;

    if (is_done)
        bytes->size += (size_t)(out - begin);
    if (conversion != (iconv_t)-1)
        iconv_close(conversion);
    return is_done;
}

bool decode_to_utf8(const char *text, size_t size, const char *charset, struct buffer *utf8)
{
    bool may_be_utf8 = !*charset || !strcmp(charset, "utf-8") || !strcmp(charset, "utf8");
    iconv_t conversion;

    if ((may_be_utf8 && is_utf8((const unsigned char *)text, size)) || !strcmp(charset, "utf-8") ||
        !strcmp(charset, "utf8"))
        return false; /* Gumbo replaces what is damaged */
    if (has_ascii(charset) && is_ascii(text, size))
        return false;
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
