/* SPDX-License-Identifier: BSD-3-Clause */
/* cascade OUT NUMBER OF SIZE… -- FILE…: the limit that bench.sh puts beside mpmap-photos: nothing but libvips, one
 * thread. Of the files it takes each OF-th, from NUMBER on; decodes it once for the largest size, and makes each
 * other of the one before. No record, no hash, no protection: a file that libvips cannot read is passed over, and one
 * that hangs it hangs it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vips/vips.h>

struct job {
    const char *out;
    const int *sizes;
    int size_count;
};

static void write_size(const struct job *job, VipsImage *image, int size, int file)
{
    char path[4096];

    snprintf(path, sizeof path, "%s/%d/%d.jpg", job->out, size, file);
    if (vips_jpegsave(image, path, "Q", 80, "strip", TRUE, NULL))
        fprintf(stderr, "cascade: %s\n", vips_error_buffer());
}

static void shrink(VipsImage **image, int size)
{
    int longer = (*image)->Xsize > (*image)->Ysize ? (*image)->Xsize : (*image)->Ysize;
    VipsImage *smaller, *memory;

    if (longer <= size || vips_resize(*image, &smaller, (double)size / longer, NULL))
        return;
    memory = vips_image_copy_memory(smaller);
    g_object_unref(smaller);
    g_object_unref(*image);
    *image = memory;
}

/* A picture without a profile is in sRGB already. */
static const char *find_export(const char *path)
{
    VipsImage *header = vips_image_new_from_file(path, "access", VIPS_ACCESS_SEQUENTIAL, NULL);
    int has_profile = header && vips_image_get_typeof(header, VIPS_META_ICC_NAME);

    if (header)
        g_object_unref(header);
    return has_profile ? "srgb" : NULL;
}

static void run_file(const struct job *job, const char *path, int file)
{
    VipsImage *image, *memory;

    if (vips_thumbnail(path, &image, job->sizes[0], "height", job->sizes[0], "size", VIPS_SIZE_DOWN,
                       "export_profile", find_export(path), NULL))
        return;
    memory = vips_image_copy_memory(image);
    g_object_unref(image);
    for (int i = 0; memory && i < job->size_count; i++) {
        shrink(&memory, job->sizes[i]);
        write_size(job, memory, job->sizes[i], file);
    }
    if (memory)
        g_object_unref(memory);
}

int main(int argc, char **argv)
{
    int sizes[16], count = 0, at = 4, number, of;

    if (argc < 6 || VIPS_INIT(argv[0]))
        return 2;
    number = atoi(argv[2]);
    of = atoi(argv[3]);
    for (; at < argc && strcmp(argv[at], "--") && count < 16; at++)
        sizes[count++] = atoi(argv[at]);
    vips_concurrency_set(1);
    vips_cache_set_max(0);
    for (int file = at + 1; file < argc; file++) {
        if ((file - at - 1) % of == number)
            run_file(&(struct job){argv[1], sizes, count}, argv[file], file - at - 1);
    }
    return 0;
}
