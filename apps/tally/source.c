/* SPDX-License-Identifier: BSD-3-Clause */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "ahead.h"

#define INPUT_SIZE 262144

struct source {
    int file;
    enum source_kind kind;
    uint64_t size;
    off_t offset; /* in the file: of what is read next */
    uint64_t decompressed;
    bool is_at_end, is_in_frame;
    z_stream gzip;
    ZSTD_DStream *zstd;
    ZSTD_inBuffer zstd_input;
    char *name;
    char *input;
    struct ahead *ahead; /* or NULL; its thread uses all of this but `decompressed` */
};

static enum source_kind find_kind(int file)
{
    static const unsigned char gzip[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd};
    unsigned char head[4] = {0};
    ssize_t length = pread(file, head, sizeof head, 0);

    if (length >= 2 && !memcmp(head, gzip, sizeof gzip))
        return SOURCE_GZIP;
    /* pzstd begins with a frame that is to be skipped. */
    if (length == 4 && (!memcmp(head, zstd, sizeof zstd) ||
                        ((head[0] & 0xf0) == 0x50 && !memcmp(head + 1, "\x2a\x4d\x18", 3))))
        return SOURCE_ZSTD;
    return SOURCE_PLAIN;
}

static bool begin_decompression(struct source *source)
{
    if (source->kind == SOURCE_GZIP)
        return inflateInit2(&source->gzip, 15 + 32) == Z_OK && (source->input = malloc(INPUT_SIZE));
    if (source->kind == SOURCE_ZSTD)
        return (source->zstd = ZSTD_createDStream()) && (source->input = malloc(INPUT_SIZE));
    return true;
}

static bool complain(char *error, const char *name, const char *what, const char *why)
{
    snprintf(error, SOURCE_ERROR, "'%.300s' %s: %s", name, what, why);
    return false;
}

bool source_open(const char *path, const char *name, struct source **source, char *error)
{
    struct source *opened = calloc(1, sizeof *opened);
    struct stat status;

    if (!opened || !(opened->name = strdup(name))) {
        free(opened);
        return complain(error, name, "cannot be opened", "out of memory");
    }
    opened->file = open(path, O_RDONLY | O_CLOEXEC);
    if (opened->file < 0 || fstat(opened->file, &status)) {
        complain(error, name, "cannot be opened", strerror(errno));
        source_close(opened);
        return false;
    }
    if (!S_ISREG(status.st_mode)) {
        source_close(opened);
        return complain(error, name, "cannot be read",
                        "it is not a regular file, which every worker can read in pieces");
    }
    opened->size = (uint64_t)status.st_size;
    opened->kind = find_kind(opened->file);
    if (!begin_decompression(opened)) {
        source_close(opened);
        return complain(error, name, "cannot be opened", "out of memory");
    }
    *source = opened;
    return true;
}

void source_close(struct source *source)
{
    ahead_end(source->ahead);
    if (source->kind == SOURCE_GZIP)
        inflateEnd(&source->gzip);
    ZSTD_freeDStream(source->zstd);
    if (source->file >= 0)
        close(source->file);
    free(source->input);
    free(source->name);
    free(source);
}

enum source_kind source_kind(const struct source *source)
{
    return source->kind;
}

uint64_t source_size(const struct source *source)
{
    return source->size;
}

ssize_t source_peek(const struct source *source, uint64_t place, void *bytes, size_t size)
{
    ssize_t count;

    do
        count = pread(source->file, bytes, size, (off_t)place);
    while (count < 0 && errno == EINTR);
    return count;
}

void source_enter(struct source *source, uint64_t place, uint64_t first)
{
    source->offset = (off_t)place;
    source->decompressed = first;
}

static ssize_t read_plain(struct source *source, char *bytes, size_t size, char *error)
{
    size_t have = 0;

    while (have < size) {
        ssize_t count = pread(source->file, bytes + have, size - have, source->offset);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            complain(error, source->name, "cannot be read", strerror(errno));
            return -1;
        }
        if (!count)
            break;
        source->offset += count;
        have += (size_t)count;
    }
    return (ssize_t)have;
}

/* A file may consist of several compressed parts, one after the other; what follows the last one is an error. */
static ssize_t read_gzip(struct source *source, char *bytes, size_t size, char *error)
{
    z_stream *stream = &source->gzip;
    ssize_t length;
    int status;

    stream->next_out = (unsigned char *)bytes;
    stream->avail_out = (unsigned)size;
    while (stream->avail_out) {
        if (!stream->avail_in) {
            if ((length = read_plain(source, source->input, INPUT_SIZE, error)) < 0)
                return -1;
            stream->next_in = (unsigned char *)source->input;
            stream->avail_in = (unsigned)length;
            if (!length)
                break;
        }
        source->is_in_frame = true;
        status = inflate(stream, Z_NO_FLUSH);
        if (status == Z_STREAM_END) {
            source->is_in_frame = false;
            inflateReset(stream);
        } else if (status != Z_OK && status != Z_BUF_ERROR) {
            complain(error, source->name, "is damaged", stream->msg ? stream->msg : "gzip cannot read it");
            return -1;
        }
    }
    if (stream->avail_out && source->is_in_frame) {
        complain(error, source->name, "is damaged", "its compressed data end too early");
        return -1;
    }
    return (ssize_t)(size - stream->avail_out);
}

static ssize_t read_zstd(struct source *source, char *bytes, size_t size, char *error)
{
    ZSTD_outBuffer output = {bytes, size, 0};
    ZSTD_inBuffer *input = &source->zstd_input;

    while (output.pos < size) {
        size_t before = output.pos, status;

        if (input->pos == input->size && !source->is_at_end) {
            ssize_t length = read_plain(source, source->input, INPUT_SIZE, error);

            if (length < 0)
                return -1;
            *input = (ZSTD_inBuffer){source->input, (size_t)length, 0};
            source->is_at_end = length == 0;
        }
        status = ZSTD_decompressStream(source->zstd, &output, input);
        if (ZSTD_isError(status)) {
            complain(error, source->name, "is damaged", ZSTD_getErrorName(status));
            return -1;
        }
        if (!source->is_at_end || output.pos > before)
            source->is_in_frame = status != 0;
        else
            break;
    }
    if (output.pos < size && source->is_in_frame) {
        complain(error, source->name, "is damaged", "its compressed data end too early");
        return -1;
    }
    return (ssize_t)output.pos;
}

static ssize_t decompress(void *argument, char *bytes, size_t size, char *error)
{
    struct source *source = argument;

    return source->kind == SOURCE_GZIP ? read_gzip(source, bytes, size, error)
                                       : read_zstd(source, bytes, size, error);
}

void source_read_ahead(struct source *source)
{
    if (source->kind != SOURCE_PLAIN && !source->ahead)
        source->ahead = ahead_begin(decompress, source);
}

ssize_t source_read(struct source *source, char *bytes, size_t size, char *error)
{
    ssize_t length = source->kind == SOURCE_PLAIN ? read_plain(source, bytes, size, error)
                     : source->ahead              ? ahead_read(source->ahead, bytes, size, error)
                                                  : decompress(source, bytes, size, error);

    if (length > 0)
        source->decompressed += (uint64_t)length;
    return length;
}

bool source_seek(struct source *source, uint64_t offset, char *error)
{
    char skipped[4096];

    if (source->kind == SOURCE_PLAIN) {
        source->offset = (off_t)offset;
        return true;
    }
    while (source->decompressed < offset) {
        uint64_t left = offset - source->decompressed;
        ssize_t length = source_read(source, skipped, left < sizeof skipped ? left : sizeof skipped, error);

        if (length < 0)
            return false;
        if (!length)
            break;
    }
    return true;
}
