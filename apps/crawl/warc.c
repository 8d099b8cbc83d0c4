/* SPDX-License-Identifier: BSD-3-Clause */
/* One process appends to a file. A record is written by one call of write(), so that it is in the file before anybody
 * hears of it; what a killed process has left behind the last record that main knows is cut off by main. */
#include "warc.h"

#include <errno.h>
#include <fcntl.h>
#include <libdeflate.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <mpmap.h>

#include "buffer.h"
#include "support/command.h"

#define LEVEL 1 /* of gzip: the network is not to wait for it */

struct warc {
    int file;
    uint64_t size;
    char *name;
    struct libdeflate_compressor *compressor;
    struct buffer plain, packed;
    uint64_t random; /* state of the numbers of records */
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

static void add_common_lines(struct warc *warc, const char *type, uint64_t time_ms)
{
    uint64_t high = next_random(warc), low = next_random(warc);
    time_t seconds = (time_t)(time_ms / 1000);
    struct tm date;
    char text[32];

    gmtime_r(&seconds, &date);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &date);
    buffer_print(&warc->plain, "WARC/1.1\r\nWARC-Type: %s\r\nWARC-Date: %s.%03uZ\r\n", type, text,
                 (unsigned)(time_ms % 1000));
    buffer_print(&warc->plain, "WARC-Record-ID: <urn:uuid:%08x-%04x-4%03x-%04x-%012llx>\r\n",
                 (unsigned)(high >> 32), (unsigned)(high >> 16 & 0xffff), (unsigned)(high & 0xfff),
                 (unsigned)(0x8000 | (low >> 48 & 0x3fff)), (unsigned long long)(low & 0xffffffffffff));
}

/* Packs what is in `plain`, and appends it. */
static int append_member(struct warc *warc, uint64_t *offset, uint64_t *length)
{
    size_t most = libdeflate_gzip_compress_bound(warc->compressor, warc->plain.size), size;

    warc->packed.size = 0;
    buffer_reserve(&warc->packed, most);
    size = libdeflate_gzip_compress(warc->compressor, warc->plain.bytes, warc->plain.size, warc->packed.bytes,
                                    most);
    if (write_all(warc, warc->packed.bytes, size))
        return 1;
    *offset = warc->size;
    *length = size;
    warc->size += size;
    return 0;
}

static int append_info(struct warc *warc, const char *agent)
{
    struct timespec now;
    struct buffer fields = {0};
    uint64_t offset, length;
    int status;

    clock_gettime(CLOCK_REALTIME, &now);
    buffer_print(
        &fields,
        "software: mpmap-crawl/%s\r\nformat: WARC File Format 1.1\r\n"
        "conformsTo: http://iipc.github.io/warc-specifications/specifications/warc-format/warc-1.1/\r\n"
        "http-header-user-agent: %s\r\n",
        MPM_VERSION, agent);
    warc->plain.size = 0;
    add_common_lines(warc, "warcinfo", (uint64_t)now.tv_sec * 1000);
    buffer_print(&warc->plain, "Content-Type: application/warc-fields\r\nContent-Length: %zu\r\n\r\n",
                 fields.size);
    buffer_add(&warc->plain, fields.bytes, fields.size);
    buffer_add(&warc->plain, "\r\n\r\n", 4);
    status = append_member(warc, &offset, &length);
    buffer_free(&fields);
    return status;
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
    if (!(warc->compressor = libdeflate_alloc_compressor(LEVEL)))
        failure("out of memory");
    else if (!open_file(warc, agent))
        return warc;
    warc_close(warc);
    return NULL;
}

int warc_append(struct warc *warc, const struct warc_record *record, uint64_t *offset, uint64_t *length)
{
    warc->plain.size = 0;
    add_common_lines(warc, record->type, record->time_ms);
    buffer_print(&warc->plain, "WARC-Target-URI: %s\r\n", record->url);
    if (*record->address)
        buffer_print(&warc->plain, "WARC-IP-Address: %s\r\n", record->address);
    if (!strcmp(record->type, "revisit"))
        buffer_print(&warc->plain,
                     "WARC-Profile: http://netpreserve.org/warc/1.1/revisit/server-not-modified\r\n"
                     "WARC-Refers-To-Target-URI: %s\r\n",
                     record->url);
    buffer_print(&warc->plain,
                 "Content-Type: application/http;msgtype=response\r\nContent-Length: %zu\r\n\r\n",
                 record->head_size + record->body_size);
    buffer_add(&warc->plain, record->head, record->head_size);
    buffer_add(&warc->plain, record->body, record->body_size);
    buffer_add(&warc->plain, "\r\n\r\n", 4);
    return append_member(warc, offset, length);
}

int warc_close(struct warc *warc)
{
    int status = 0;

    if (warc->file >= 0 && close(warc->file))
        status = fail(warc, "closed");
    libdeflate_free_compressor(warc->compressor);
    buffer_free(&warc->plain);
    buffer_free(&warc->packed);
    free(warc->name);
    free(warc);
    return status;
}
