/* SPDX-License-Identifier: BSD-3-Clause */
/* An original is opened by its descriptor, never by its name, in which libvips would look for options. It is decoded
 * once, as small as the decoder can make it without being smaller than the largest output; every other output is made
 * of the one before it. Pixels of two neighbouring sizes are in memory at a time.
 *
 * * A picture that is smaller than a size is not made larger: its outputs of all such sizes are the same file, by
 * links. */
#include "develop.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vips/vips.h>

#include "exif.h"
#include "look.h"
#include "support/whole_file.h"

#define PATH_SIZE 4096

/* One photograph on its way. Whoever fails writes `error`, and returns -1. */
struct work {
    const struct settings *settings;
    const char *path, *name;
    struct photo *photo;
    char *error;
    size_t error_size;
    VipsSource *source;
    bool has_profile;    /* it says what its colours mean, or has those of a print */
    VipsImage *picture;  /* in memory: the size that was made last */
    bool has_look;       /* of the photo */
    unsigned last_width; /* of the last output; 0: there is none yet */
    unsigned last_output;
};

static int G_GNUC_PRINTF(2, 3) fail(struct work *work, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(work->error, work->error_size, format, arguments);
    va_end(arguments);
    return -1;
}

/* What a decoder has warned of last. Its threads may be several. */
static struct {
    GMutex lock;
    char text[200];
} warned;

static void keep_warning(const gchar *domain, GLogLevelFlags level, const gchar *message, gpointer unused)
{
    (void)domain, (void)level, (void)unused;
    g_mutex_lock(&warned.lock);
    snprintf(warned.text, sizeof warned.text, "%s", message);
    g_mutex_unlock(&warned.lock);
}

static void forget_messages(void)
{
    vips_error_clear();
    g_mutex_lock(&warned.lock);
    warned.text[0] = '\0';
    g_mutex_unlock(&warned.lock);
}

/* What libvips has to say, in its error or in a warning before it, as one line. It says the same several times, so the
 * first line is enough. */
static int fail_in_vips(struct work *work, const char *what)
{
    char *text = vips_error_buffer_copy();

    text[strcspn(text, "\n")] = '\0';
    if (!*text) {
        g_free(text);
        g_mutex_lock(&warned.lock);
        text = g_strdup(*warned.text ? warned.text : "libvips does not say why");
        g_mutex_unlock(&warned.lock);
    }
    fail(work, "%s: %.200s", what, text);
    g_free(text);
    return -1;
}

int develop_start(char *error, size_t error_size)
{
    static const char *const allowed[] = {"VipsForeignLoadJpeg", "VipsForeignLoadPng", "VipsForeignLoadWebp",
                                          "VipsForeignLoadTiff"};

    /* A picture that must be whole in memory is to meet the limit of memory, not to fill a disk. */
    setenv("VIPS_DISC_THRESHOLD", "1000g", 1);
    if (VIPS_INIT("mpmap-photos")) {
        snprintf(error, error_size, "libvips does not start: %s", vips_error_buffer());
        return -1;
    }
    g_log_set_handler("VIPS", (GLogLevelFlags)(G_LOG_LEVEL_MASK), keep_warning, NULL);
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    vips_operation_block_set("VipsForeignLoad", TRUE);
    for (size_t i = 0; i < sizeof allowed / sizeof allowed[0]; i++)
        vips_operation_block_set(allowed[i], FALSE);
    return 0;
}

/* By the first bytes, whatever the name says. */
static enum photo_format find_format(const unsigned char *head, size_t size)
{
    if (size >= 3 && !memcmp(head, "\xff\xd8\xff", 3))
        return FORMAT_JPEG;
    if (size >= 8 && !memcmp(head, "\x89PNG\r\n\x1a\n", 8))
        return FORMAT_PNG;
    if (size >= 12 && !memcmp(head, "RIFF", 4) && !memcmp(head + 8, "WEBP", 4))
        return FORMAT_WEBP;
    if (size >= 4 && (!memcmp(head, "II*\0", 4) || !memcmp(head, "MM\0*", 4) || !memcmp(head, "II+\0", 4) ||
                      !memcmp(head, "MM\0+", 4)))
        return FORMAT_TIFF;
    return FORMAT_UNKNOWN;
}

static int look_at_file(struct work *work, int file)
{
    unsigned char head[12];
    struct stat status;
    ssize_t size;

    if (fstat(file, &status))
        return fail(work, "cannot be read: %s", strerror(errno));
    if (!S_ISREG(status.st_mode))
        return fail(work, "no regular file");
    work->photo->file_size = (uint64_t)status.st_size;
    work->photo->file_time_ns = (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec;
    if (!status.st_size)
        return fail(work, "empty file");
    size = pread(file, head, sizeof head, 0);
    if (size < 0)
        return fail(work, "cannot be read: %s", strerror(errno));
    work->photo->format = find_format(head, (size_t)size);
    if (work->photo->format == FORMAT_UNKNOWN)
        return fail(work, "no JPEG, PNG, WebP or TIFF: it begins with the bytes %02x %02x %02x %02x", head[0],
                    size > 1 ? head[1] : 0, size > 2 ? head[2] : 0, size > 3 ? head[3] : 0);
    return 0;
}

static int open_source(struct work *work)
{
    int file = open(work->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), status;

    if (file < 0)
        return fail(work, "cannot be opened: %s", strerror(errno));
    status = look_at_file(work, file);
    if (!status && !(work->source = vips_source_new_from_descriptor(file)))
        status = fail_in_vips(work, "cannot be read");
    close(file); /* libvips has a duplicate */
    return status;
}

/* Size, date and camera stand in the header, of which the shrunk picture has no longer all. */
static int read_header(struct work *work)
{
    VipsImage *header = vips_image_new_from_source(work->source, "", "access", VIPS_ACCESS_SEQUENTIAL, NULL);
    struct photo *photo = work->photo;
    bool is_turned;

    if (!header)
        return fail_in_vips(work, "cannot be decoded");
    is_turned = vips_image_get_orientation_swap(header);
    photo->width = (uint32_t)(is_turned ? vips_image_get_height(header) : vips_image_get_width(header));
    photo->height = (uint32_t)(is_turned ? vips_image_get_width(header) : vips_image_get_height(header));
    work->has_profile = vips_image_get_typeof(header, VIPS_META_ICC_NAME) ||
                        vips_image_get_interpretation(header) == VIPS_INTERPRETATION_CMYK;
    exif_read_date(header, photo->date, sizeof photo->date);
    exif_read_camera(header, photo->camera, sizeof photo->camera);
    g_object_unref(header);
    return 0;
}

/* Takes what a step has made in place of what it was made of. */
static void replace(VipsImage **image, VipsImage *made)
{
    g_object_unref(*image);
    *image = made;
}

/* Whatever the decoder gives becomes sRGB of 8 bits, with or without alpha. */
static int to_srgb(VipsImage **image)
{
    VipsImage *made;

    if (vips_image_get_interpretation(*image) != VIPS_INTERPRETATION_sRGB ||
        vips_image_get_bands(*image) < 3) {
        if (vips_colourspace(*image, &made, VIPS_INTERPRETATION_sRGB, NULL))
            return -1;
        replace(image, made);
    }
    if (vips_image_get_format(*image) != VIPS_FORMAT_UCHAR) {
        if (vips_cast_uchar(*image, &made, NULL))
            return -1;
        replace(image, made);
    }
    if (vips_image_get_bands(*image) > 4) {
        if (vips_extract_band(*image, &made, 0, "n", 3, NULL))
            return -1;
        replace(image, made);
    }
    return 0;
}

/* On white, as a page would show it. */
static int flatten(VipsImage **image)
{
    double white[] = {255, 255, 255};
    VipsArrayDouble *background = vips_array_double_new(white, 3);
    VipsImage *made;
    int status = vips_flatten(*image, &made, "background", background, NULL);

    vips_area_unref(VIPS_AREA(background));
    if (!status)
        replace(image, made);
    return status;
}

static int into_memory(VipsImage **image)
{
    VipsImage *made = vips_image_copy_memory(*image);

    if (!made)
        return -1;
    replace(image, made);
    return 0;
}

/* The longer side of the one decode. It is never larger than the picture: so nothing is made larger, although libvips is
 * not told that only smaller will do. Told that, it takes the smallest picture of a pyramid. */
static int box_side(const struct work *work)
{
    unsigned largest = work->settings->sizes[0], side = largest > LOOK_SIZE ? largest : LOOK_SIZE;
    uint32_t longer = work->photo->width > work->photo->height ? work->photo->width : work->photo->height;

    return (int)(longer < side ? longer : side);
}

/* A picture without a profile is in sRGB already; converted, it would lose. "fail_on" reaches only the first look at the
 * header, not the decoder that shrinks: its options are a text. */
static VipsImage *open_shrunk(struct work *work)
{
    int side = box_side(work);
    VipsImage *image;

    if (vips_thumbnail_source(work->source, &image, side, "height", side, "size", VIPS_SIZE_BOTH,
                              "export_profile", work->has_profile ? "srgb" : NULL, "fail_on",
                              VIPS_FAIL_ON_ERROR, "option_string", "fail-on=error", NULL))
        return NULL;
    return image;
}

/* The one decode: turned, shrunk, in sRGB, in memory. A profile that does not fit the picture, as one for colours on a grey
 * one, says nothing of it. */
static int decode(struct work *work)
{
    work->picture = open_shrunk(work);
    if (!work->picture && work->has_profile && strstr(vips_error_buffer(), "profile")) {
        forget_messages();
        work->has_profile = false;
        work->picture = open_shrunk(work);
    }
    if (!work->picture)
        return fail_in_vips(work, "cannot be decoded");
    if (to_srgb(&work->picture) ||
        (vips_image_hasalpha(work->picture) && work->settings->format == OUTPUT_JPEG &&
         flatten(&work->picture)) ||
        into_memory(&work->picture))
        return fail_in_vips(work, "cannot be decoded");
    return 0;
}

/* Makes the picture `size` pixels wide or high, if it is larger. */
static int shrink(struct work *work, unsigned size)
{
    const struct photo *photo = work->photo;
    VipsImage *made;
    double longer = fmax(photo->width, photo->height), scale = size / longer;
    double width = fmax(1, rint(photo->width * scale)), height = fmax(1, rint(photo->height * scale));
    int status;

    if (fmax(vips_image_get_width(work->picture), vips_image_get_height(work->picture)) <= size)
        return 0;
    if (vips_image_hasalpha(work->picture))
        status = vips_thumbnail_image(work->picture, &made, (int)width, "height", (int)height, "size",
                                      VIPS_SIZE_FORCE, NULL);
    else
        status = vips_resize(work->picture, &made, width / vips_image_get_width(work->picture), "vscale",
                             height / vips_image_get_height(work->picture), NULL);
    if (status)
        return fail_in_vips(work, "cannot be made smaller");
    replace(&work->picture, made);
    return into_memory(&work->picture) ? fail_in_vips(work, "cannot be made smaller") : 0;
}

static int encode(struct work *work, void **bytes, size_t *size)
{
    int quality = (int)work->settings->quality, status;

    if (work->settings->format == OUTPUT_WEBP)
        status = vips_webpsave_buffer(work->picture, bytes, size, "Q", quality, "strip", TRUE, NULL);
    else
        status = vips_jpegsave_buffer(work->picture, bytes, size, "Q", quality, "strip", TRUE, NULL);
    return status ? fail_in_vips(work, "cannot be encoded") : 0;
}

/* The output of a size whose picture is that of the size before it. A file system without links gets a copy. */
static bool link_output(struct work *work, const char *path, const char *part)
{
    char last[PATH_SIZE];

    if (!settings_output_path(work->settings, work->last_output, work->name, false, last))
        return false;
    unlink(part);
    if (link(last, part))
        return false;
    if (!rename(part, path)) {
        unlink(part); /* if both are one file already, the rename does nothing */
        return true;
    }
    unlink(part);
    return false;
}

static int write_output(struct work *work, unsigned which)
{
    unsigned width = (unsigned)vips_image_get_width(work->picture);
    char path[PATH_SIZE], part[PATH_SIZE];
    size_t size;
    void *bytes;
    int status;

    if (!settings_output_path(work->settings, which, work->name, false, path) ||
        !settings_output_path(work->settings, which, work->name, true, part))
        return fail(work, "the path of an output would be too long");
    if (work->last_width == width && link_output(work, path, part))
        return 0;
    if (encode(work, &bytes, &size))
        return -1;
    status = whole_file_put(path, part, bytes, size);
    g_free(bytes);
    if (status) {
        work->photo->output_error = errno;
        return fail(work, "'%s' cannot be written", path);
    }
    work->photo->output_bytes += size;
    work->last_width = width;
    work->last_output = which;
    return 0;
}

/* Takes the look of the picture, which is small enough now. */
static int find_look(struct work *work)
{
    VipsImage *flat = work->picture;
    int status;

    g_object_ref(flat);
    if ((vips_image_hasalpha(flat) && flatten(&flat)) || into_memory(&flat)) {
        g_object_unref(flat);
        return fail_in_vips(work, "cannot be looked at");
    }
    status = look_find(VIPS_IMAGE_ADDR(flat, 0, 0), (size_t)flat->Xsize, (size_t)flat->Ysize,
                       &work->photo->look);
    g_object_unref(flat);
    work->has_look = true;
    return status ? fail(work, "there is no memory to look at it") : 0;
}

/* Sizes come largest first; the look is taken between them, as soon as the next is smaller than it needs. */
static int make_outputs(struct work *work)
{
    const struct settings *settings = work->settings;

    for (unsigned i = 0; i <= settings->size_count; i++) {
        unsigned size = i < settings->size_count ? settings->sizes[i] : 0;

        if (size <= LOOK_SIZE && !work->has_look && (shrink(work, LOOK_SIZE) || find_look(work)))
            return -1;
        if (size && (shrink(work, size) || write_output(work, i)))
            return -1;
    }
    return 0;
}

int develop(const struct settings *settings, const char *path, const char *name, struct photo *photo,
            char *error, size_t error_size)
{
    struct work work = {.settings = settings,
                        .path = path,
                        .name = name,
                        .photo = photo,
                        .error = error,
                        .error_size = error_size};
    int status;

    memset(photo, 0, sizeof *photo);
    forget_messages();
    status = open_source(&work) || read_header(&work) || decode(&work) || make_outputs(&work) ? -1 : 0;
    g_clear_object(&work.picture);
    g_clear_object(&work.source);
    return status;
}
