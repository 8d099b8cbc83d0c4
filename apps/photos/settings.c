/* SPDX-License-Identifier: BSD-3-Clause */
/* Sizes and formats of outputs, and the names of their files: OUT/SIZE/NAME.jpg. */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"

static int larger_first(const void *a, const void *b)
{
    unsigned left = *(const unsigned *)a, right = *(const unsigned *)b;

    return (left < right) - (left > right);
}

static void sort_sizes(struct settings *settings)
{
    unsigned count = 0;

    qsort(settings->sizes, settings->size_count, sizeof settings->sizes[0], larger_first);
    for (unsigned i = 0; i < settings->size_count; i++) {
        if (!count || settings->sizes[count - 1] != settings->sizes[i])
            settings->sizes[count++] = settings->sizes[i];
    }
    settings->size_count = count;
}

int settings_read_sizes(const char *text, struct settings *settings)
{
    unsigned most = settings->format == OUTPUT_WEBP ? LARGEST_WEBP : LARGEST_JPEG;
    const char *at = text;

    settings->size_count = 0;
    for (;;) {
        char *end;
        unsigned long size = strtoul(at, &end, 10);

        if (*at < '0' || *at > '9' || !size || size > most || (*end && *end != ','))
            return usage_error(
                "", "--sizes is '%s', but must be sizes in pixels from 1 to %u, as in 2048,1024,512", text,
                most);
        if (settings->size_count == MOST_SIZES)
            return usage_error("", "--sizes is '%s', but there may be %d sizes at most", text, MOST_SIZES);
        settings->sizes[settings->size_count++] = (unsigned)size;
        if (!*end)
            break;
        at = end + 1;
    }
    sort_sizes(settings);
    return 0;
}

int settings_read_format(const char *text, struct settings *settings)
{
    if (!strcmp(text, "jpeg") || !strcmp(text, "jpg"))
        settings->format = OUTPUT_JPEG;
    else if (!strcmp(text, "webp"))
        settings->format = OUTPUT_WEBP;
    else
        return usage_error("", "--format is '%s', but must be jpeg or webp", text);
    return 0;
}

const char *settings_suffix(const struct settings *settings)
{
    return settings->format == OUTPUT_WEBP ? ".webp" : ".jpg";
}

void settings_describe(const struct settings *settings, char *line, size_t size)
{
    size_t length = (size_t)snprintf(line, size, "%s, quality %u, sizes",
                                     settings->format == OUTPUT_WEBP ? "webp" : "jpeg", settings->quality);

    for (unsigned i = 0; i < settings->size_count && length < size; i++)
        length += (size_t)snprintf(line + length, size - length, "%s%u", i ? "," : " ", settings->sizes[i]);
}

bool settings_output_path(const struct settings *settings, unsigned which, const char *name, bool is_part,
                          char path[4096])
{
    return snprintf(path, 4096, "%s/%u/%s%s%s", settings->out, settings->sizes[which], name,
                    settings_suffix(settings), is_part ? ".part" : "") < 4096;
}
