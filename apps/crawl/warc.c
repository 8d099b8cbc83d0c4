/* SPDX-License-Identifier: BSD-3-Clause */
/* One process appends to a file. A page's records, what was asked and what came, are in the file before anybody hears
 * of the page, and what came is last: what a killed process has left behind the last record that main knows is cut off
 * by main. Records of some pages are written at once, because a page is small; what a killed process has not written is
 * of pages of which nobody has heard.
 *
 * They are packed by ISA-L, which takes half of the time of libdeflate's level 1 for 6 % more bytes. What was asked is
 * so short that making a code for it would take half as long as packing a page: it gets ISA-L's own. */
#include "warc.h"

#include <errno.h>
#include <fcntl.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "buffer.h"
#include "support/command.h"

#define LEVEL      1 /* of ISA-L's 0 to 3: the network is not to wait for it; 0 has a fixed code */
#define LEVEL_SIZE ISAL_DEF_LVL1_DEFAULT
#define PIECE      (1u << 30) /* bytes that it is given at once: it counts in 32 bits */
#define ROOM       (64u << 10)
#define MOST_KEPT  (1u << 20) /* bytes that wait to be written */

struct warc {
    int file;
    uint64_t size;
    char *name;
    struct isal_zstream stream;
    _Alignas(16) uint8_t level_room[LEVEL_SIZE];
    struct buffer plain, packed;
    uint64_t random; /* state of the numbers of records */
};

/* What names a record. */
struct record_id {
    uint64_t high, low;
};

static uint64_t next_random(struct warc *warc)
{
    uint64_t mixed = warc->random += 0x9e3779b97f4a7c15u;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebu;
    return mixed ^ mixed >> 31;
}

static int fail(const struct warc *warc, const char *what)
{
    return failure("'%s' cannot be %s: %s", warc->name, what, strerror(errno));
}

static int write_all(const struct warc *warc, const char *bytes, size_t size)
{
    while (size) {
        ssize_t written = write(warc->file, bytes, size);

        if (written < 0 && errno != EINTR)
            return fail(warc, "written");
        if (written > 0) {
            bytes += written;
            size -= (size_t)written;
        }
    }
    return 0;
}

static struct record_id new_id(struct warc *warc)
{
    return (struct record_id){next_random(warc), next_random(warc)};
}

static void add_id(struct warc *warc, const char *field, struct record_id id)
{
    buffer_print(&warc->plain, "%s: <urn:uuid:%08x-%04x-4%03x-%04x-%012llx>\r\n", field,
                 (unsigned)(id.high >> 32), (unsigned)(id.high >> 16 & 0xffff), (unsigned)(id.high & 0xfff),
                 (unsigned)(0x8000 | (id.low >> 48 & 0x3fff)), (unsigned long long)(id.low & 0xffffffffffff));
}

static void begin_record(struct warc *warc, const char *type, uint64_t time_ms, struct record_id id)
{
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm date;
    char text[32];

    warc->plain.size = 0;
    gmtime_r(&seconds, &date);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &date);
    buffer_print(&warc->plain, "WARC/1.1\r\nWARC-Type: %s\r\nWARC-Date: %s.%03uZ\r\n", type, text,
                 (unsigned)(time_ms % 1000));
    add_id(warc, "WARC-Record-ID", id);
}

/* The last fields, and the block in two parts. */
static void end_record(struct warc *warc, const char *type, const char *head, size_t head_size,
                       const char *body, size_t body_size)
{
    buffer_print(&warc->plain, "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n", type,
                 head_size + body_size);
    buffer_add(&warc->plain, head, head_size);
    buffer_add(&warc->plain, body, body_size);
    buffer_add(&warc->plain, "\r\n\r\n", 4);
}

/* Appends the record in `plain` to `packed`, as a gzip member; returns its length. */
static uint64_t pack_record(struct warc *warc, uint32_t level)
{
    struct isal_zstream *stream = &warc->stream;
    size_t begin = warc->packed.size, done = 0, size = warc->plain.size;

    isal_deflate_init(stream);
    stream->level = level;
    stream->level_buf = warc->level_room;
    stream->level_buf_size = LEVEL_SIZE;
    stream->gzip_flag = IGZIP_GZIP;
    while (done < size) {
        stream->next_in = (uint8_t *)warc->plain.bytes + done;
        stream->avail_in = (uint32_t)(size - done < PIECE ? size - done : PIECE);
        done += stream->avail_in;
        stream->end_of_stream = done == size;
        do {
            stream->next_out = (uint8_t *)buffer_reserve(&warc->packed, ROOM);
            stream->avail_out = ROOM;
            isal_deflate(stream);
            warc->packed.size += ROOM - stream->avail_out;
        } while (!stream->avail_out);
    }
    return warc->packed.size - begin;
}

int warc_flush(struct warc *warc)
{
    if (warc->packed.size && write_all(warc, warc->packed.bytes, warc->packed.size))
        return 1;
    warc->size += warc->packed.size;
    warc->packed.size = 0;
    return 0;
}

static const char *file_name(const struct warc *warc)
{
    const char *slash = strrchr(warc->name, '/');

    return slash ? slash + 1 : warc->name;
}

static int append_info(struct warc *warc, const char *agent)
{
    struct timespec now;
    struct buffer fields = {0};

    clock_gettime(CLOCK_REALTIME, &now);
    buffer_print(
        &fields,
        "software: mpmap-crawl/%s\r\nformat: WARC File Format 1.1\r\n"
        "conformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n"
        "http-header-user-agent: %s\r\n",
        MPM_VERSION, agent);
    begin_record(warc, "warcinfo", (uint64_t)now.tv_sec * 1000, new_id(warc));
    buffer_print(&warc->plain, "WARC-Filename: %s\r\n", file_name(warc));
    end_record(warc, "application/warc-fields", fields.bytes, fields.size, "", 0);
    buffer_free(&fields);
    pack_record(warc, LEVEL);
    return warc_flush(warc);
}

static int open_file(struct warc *warc, const char *agent)
{
    off_t size;

    warc->file = open(warc->name, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (warc->file < 0 || (size = lseek(warc->file, 0, SEEK_END)) < 0)
        return fail(warc, "opened");
    warc->size = (uint64_t)size;
    if (getrandom(&warc->random, sizeof warc->random, 0) != sizeof warc->random)
        return fail(warc, "given a number");
    return warc->size ? 0 : append_info(warc, agent);
}

struct warc *warc_open(const char *name, const char *agent)
{
    struct warc *warc = must_realloc(NULL, sizeof *warc);

    *warc = (struct warc){.file = -1, .name = must_copy(name, strlen(name))};
    if (!open_file(warc, agent))
        return warc;
    warc_close(warc);
    return NULL;
}

/* What both records of a page say of it. */
static void add_page_fields(struct warc *warc, const struct warc_page *page)
{
    buffer_print(&warc->plain, "WARC-Target-URI: %s\r\n", page->url);
    if (*page->address)
        buffer_print(&warc->plain, "WARC-IP-Address: %s\r\n", page->address);
}

static void pack_request(struct warc *warc, const struct warc_page *page, struct record_id answer)
{
    begin_record(warc, "request", page->time_ms, new_id(warc));
    add_page_fields(warc, page);
    add_id(warc, "WARC-Concurrent-To", answer);
    end_record(warc, "application/http;msgtype=request", page->request, page->request_size, "", 0);
    pack_record(warc, 0);
}

static uint64_t pack_answer(struct warc *warc, const struct warc_page *page, struct record_id id)
{
    begin_record(warc, page->is_unchanged ? "revisit" : "response", page->time_ms, id);
    add_page_fields(warc, page);
    if (page->is_unchanged)
        buffer_print(&warc->plain,
                     "WARC-Profile: http://netpreserve.org/warc/1.1/revisit/server-not-modified\r\n"
                     "WARC-Refers-To-Target-URI: %s\r\n",
                     page->url);
    end_record(warc, "application/http;msgtype=response", page->head, page->head_size, page->body,
               page->body_size);
    return pack_record(warc, LEVEL);
}

int warc_append(struct warc *warc, const struct warc_page *page, uint64_t *offset, uint64_t *length)
{
    struct record_id answer = new_id(warc);

    pack_request(warc, page, answer);
    *offset = warc->size + warc->packed.size;
    *length = pack_answer(warc, page, answer);
    return warc->packed.size > MOST_KEPT ? warc_flush(warc) : 0;
}

int warc_close(struct warc *warc)
{
    int status = 0;

    if (warc->file >= 0 && close(warc->file))
        status = fail(warc, "closed");
    buffer_free(&warc->plain);
    buffer_free(&warc->packed);
    free(warc->name);
    free(warc);
    return status;
}
