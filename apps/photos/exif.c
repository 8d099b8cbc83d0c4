/* SPDX-License-Identifier: BSD-3-Clause */
/* libvips gives a field as its text, and what type it had in brackets: "Canon (Canon, ASCII, 6 components, 6 bytes)".
 * Any of it may be whatever somebody has written there. */
#include "exif.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

/* The text of a field, without what is in brackets behind it; "" if there is none. */
static void read_field(VipsImage *image, const char *name, char *text, size_t size)
{
    const char *field, *end;
    size_t length;

    *text = '\0';
    if (!vips_image_get_typeof(image, name) || vips_image_get_string(image, name, &field)) {
        vips_error_clear();
        return;
    }
    end = strstr(field, " (");
    length = end ? (size_t)(end - field) : strlen(field);
    if (length >= size)
        length = size - 1;
    while (length && (unsigned char)field[length - 1] <= ' ')
        length--;
    for (size_t i = 0; i < length; i++)
        text[i] = field[i] >= ' ' && field[i] < 127 ? field[i] : '?';
    text[length] = '\0';
}

void exif_read_date(VipsImage *image, char *date, size_t size)
{
    static const char *const names[] = {"exif-ifd2-DateTimeOriginal", "exif-ifd2-DateTimeDigitized",
                                        "exif-ifd0-DateTime"};
    unsigned year, month, day, hour, minute, second;
    char text[64];

    *date = '\0';
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !*date; i++) {
        read_field(image, names[i], text, sizeof text);
        if (sscanf(text, "%4u:%2u:%2u %2u:%2u:%2u", &year, &month, &day, &hour, &minute, &second) == 6 &&
            year > 0 && month >= 1 && month <= 12 && day >= 1 && day <= 31 && hour < 24 && minute < 60 &&
            second <= 60)
            snprintf(date, size, "%04u-%02u-%02uT%02u:%02u:%02u", year % 10000, month % 100, day % 100,
                     hour % 100, minute % 100, second % 100);
    }
}

void exif_read_camera(VipsImage *image, char *camera, size_t size)
{
    char maker[32], model[32];

    read_field(image, "exif-ifd0-Make", maker, sizeof maker);
    read_field(image, "exif-ifd0-Model", model, sizeof model);
    if (!strncasecmp(model, maker, strlen(maker)))
        snprintf(camera, size, "%s", model);
    else
        snprintf(camera, size, "%s%s%s", maker, *model ? " " : "", model);
}
