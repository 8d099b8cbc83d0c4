/* SPDX-License-Identifier: BSD-3-Clause */
/* The levels of the two libraries have the same numbers and are not the same. The table was made of what both make
 * of 17 kinds of data, shuffled in chunks of 512 KiB: smooth and noisy floats, counts, images, classes, text. In it
 * a chunk is never larger by more than 3 % than zlib's at the level that was asked for, and most are smaller; it
 * takes about half of the time, at level 9 as long. Bytes with noise, as images are, zlib makes up to a tenth
 * smaller at its first three levels, where it looks for few matches: these are left to it. */
#include "data/deflate.h"

#include <dlfcn.h>

#include "base/library.h"

#ifdef LIBDEFLATE_SONAME

#include <libdeflate.h>

#define DEFLATE_SYMBOLS(ENTRY)           \
    ENTRY(libdeflate_alloc_compressor)   \
    ENTRY(libdeflate_alloc_decompressor) \
    ENTRY(libdeflate_free_compressor)    \
    ENTRY(libdeflate_zlib_compress)      \
    ENTRY(libdeflate_zlib_decompress_ex)

static struct {
    DEFLATE_SYMBOLS(LIBRARY_MEMBER)
} library;

static struct {
    bool was_looked_for, is_there;
    struct libdeflate_decompressor *decompressor;
    struct libdeflate_compressor *compressor;
    int level; /* of the compressor */
} deflate;

bool deflate_load(void)
{
    static const char *const names[] = {DEFLATE_SYMBOLS(LIBRARY_NAME)};
    static const struct library late = {
        .title = "libdeflate",
        .soname = LIBDEFLATE_SONAME,
        .path = LIBDEFLATE_PATH,
        .flags = RTLD_NOW | RTLD_LOCAL,
        .names = names,
        .name_count = sizeof names / sizeof *names,
    };

    if (!deflate.was_looked_for)
        deflate.is_there = !library_load(&late, &library);
    deflate.was_looked_for = true;
    return deflate.is_there;
}

bool deflate_unpack(const void *packed, size_t packed_size, void *bytes, size_t size)
{
    size_t taken;

    if (!deflate.decompressor)
        deflate.decompressor = library.libdeflate_alloc_decompressor();
    return deflate.decompressor &&
           library.libdeflate_zlib_decompress_ex(deflate.decompressor, packed, packed_size, bytes, size,
                                                 &taken, NULL) == LIBDEFLATE_SUCCESS;
}

/* 0: zlib's is smaller. */
static int level_of(unsigned level, size_t element_size)
{
    static const unsigned char of_bytes[] = {0, 0, 0, 0, 5, 5, 6, 8, 9, 10};
    static const unsigned char of_numbers[] = {0, 2, 4, 4, 4, 5, 6, 7, 8, 9};

    if (level >= sizeof of_bytes)
        return 0;
    return element_size == 1 ? of_bytes[level] : of_numbers[level];
}

static bool take_level(int level)
{
    if (deflate.compressor && deflate.level == level)
        return true;
    if (deflate.compressor)
        library.libdeflate_free_compressor(deflate.compressor);
    deflate.compressor = library.libdeflate_alloc_compressor(level);
    deflate.level = level;
    return deflate.compressor != NULL;
}

size_t deflate_pack(unsigned level, size_t element_size, const void *bytes, size_t size, void *packed,
                    size_t most)
{
    int own_level = level_of(level, element_size);

    if (!own_level || !take_level(own_level))
        return 0;
    return library.libdeflate_zlib_compress(deflate.compressor, bytes, size, packed, most);
}

#else

bool deflate_load(void)
{
    return false;
}

bool deflate_unpack(const void *packed, size_t packed_size, void *bytes, size_t size)
{
    (void)packed, (void)packed_size, (void)bytes, (void)size;
    return false;
}

size_t deflate_pack(unsigned level, size_t element_size, const void *bytes, size_t size, void *packed,
                    size_t most)
{
    (void)level, (void)element_size, (void)bytes, (void)size, (void)packed, (void)most;
    return 0;
}

#endif
