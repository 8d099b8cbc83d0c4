/* SPDX-License-Identifier: BSD-3-Clause */
/* What outputs are made, and where: known to main, which parses it, and to each worker, which gets a copy. */
#ifndef MPMAP_PHOTOS_SETTINGS_H
#define MPMAP_PHOTOS_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>

#define MOST_SIZES   16
#define LARGEST_JPEG 65500
#define LARGEST_WEBP 16383

enum output_format { OUTPUT_JPEG, OUTPUT_WEBP };

/* One block of bytes without pointers, so that it can be handed to every worker. */
struct settings {
    unsigned sizes[MOST_SIZES]; /* the longer side of each output in pixels; largest first, each once */
    unsigned size_count;
    unsigned quality; /* 1 to 100 */
    enum output_format format;
    char out[4096]; /* the folder of all outputs, without a slash at its end */
};

/* Reads "2048,1024,512" in any order. Returns 0, or the exit status after saying what is wrong. */
int settings_read_sizes(const char *text, struct settings *settings);

/* Reads "jpeg" or "webp". Returns 0, or the exit status after saying what is wrong. */
int settings_read_format(const char *text, struct settings *settings);

/* ".jpg" or ".webp". */
const char *settings_suffix(const struct settings *settings);

/* What makes an output what it is, as one line without its end: runs whose lines differ do not go on with each other's
 * work. */
void settings_describe(const struct settings *settings, char *line, size_t size);

/* Path of an output; of the file that becomes it if `is_part`. Never cut: returns false if it does not fit. */
bool settings_output_path(const struct settings *settings, unsigned which, const char *name, bool is_part,
                          char path[4096]);

#endif
