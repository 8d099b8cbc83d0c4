/* SPDX-License-Identifier: BSD-3-Clause */
/* The pages. Names of outputs are letters, digits, dots and dashes, so they are fit for an address; whatever else
 * comes from outside (paths, cameras, causes) is escaped. */
#include "gallery.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gallery_style.h"
#include "support/command.h"
#include "support/html.h"
#include "support/whole_file.h"

#define PAGE          1000 /* photographs on a page */
#define THUMBNAIL     256  /* pixels: the smallest output that is as large is shown in rows */
#define MOST_GROUPS   300
#define MOST_MEMBERS  24
#define MOST_FAILURES 500

struct gallery {
    const struct settings *settings;
    const struct originals *originals;
    const struct duplicates *duplicates;
    size_t good, failed, pages;
    size_t
        common; /* bytes at the beginning of all paths that are the same, up to a slash: they are not shown */
    FILE *page; /* the one that is being written */
};

static bool is_good(const struct original *original)
{
    return original->is_done && !original->error;
}

/* The smallest of the sizes that is at least so large; the largest if none is. */
static unsigned size_for(const struct settings *settings, unsigned pixels)
{
    for (unsigned i = settings->size_count; i--;) {
        if (settings->sizes[i] >= pixels)
            return settings->sizes[i];
    }
    return settings->sizes[0];
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

/* How long the folders are that all paths have in common. They are sorted, so what the first and the last share, all
 * do. */
static size_t common_length(const struct originals *originals)
{
    const char *first = originals->items[0].path, *last = originals->items[originals->count - 1].path;
    size_t length = 0;

    for (size_t i = 0; first[i] && first[i] == last[i]; i++) {
        if (first[i] == '/')
            length = i + 1;
    }
    return length;
}

static void write_size(FILE *page, uint64_t bytes)
{
    if (bytes < 1000000)
        fprintf(page, "%.0f kB", (double)bytes / 1e3);
    else if (bytes < 1000000000)
        fprintf(page, "%.1f MB", (double)bytes / 1e6);
    else
        fprintf(page, "%.1f GB", (double)bytes / 1e9);
}

/* A link to the largest output, with a picture in it, and the mean colour until that is there. */
static void write_picture(struct gallery *gallery, const struct original *original)
{
    const struct settings *settings = gallery->settings;
    const struct photo *photo = &original->photo;
    const char *suffix = settings_suffix(settings), *name = original->name;
    unsigned small = size_for(settings, THUMBNAIL), twice = size_for(settings, 2 * THUMBNAIL);
    FILE *page = gallery->page;
    double ratio = (double)photo->width / photo->height;

    fprintf(page, "<a data-p href=\"%u/%s%s\" style=\"--r:%.3f;background:#%02x%02x%02x\" title=\"",
            settings->sizes[0], name, suffix,
            ratio < 0.4 ? 0.4
            : ratio > 3 ? 3
                        : ratio,
            photo->look.mean[0], photo->look.mean[1], photo->look.mean[2]);
    html_write_text(page, original->path + gallery->common);
    fprintf(page, " &middot; %u &times; %u", photo->width, photo->height);
    if (*photo->date)
        fprintf(page, " &middot; %.10s %.5s", photo->date, photo->date + 11);
    if (*photo->camera) {
        fputs(" &middot; ", page);
        html_write_text(page, photo->camera);
    }
    fprintf(page, "\"><img loading=lazy src=\"%u/%s%s\"", small, name, suffix);
    if (twice > small)
        fprintf(page, " srcset=\"%u/%s%s 2x\"", twice, name, suffix);
    fputs(" alt=\"", page);
    html_write_text(page, base_name(original->path));
    fputs("\"></a>\n", page);
}

static void write_count(FILE *page, size_t count, const char *one, const char *many)
{
    fprintf(page, "%zu %s", count, count == 1 ? one : many);
}

static void write_links(struct gallery *gallery, size_t at)
{
    if (gallery->pages < 2)
        return;
    fputs("<nav>", gallery->page);
    for (size_t i = 0; i < gallery->pages; i++) {
        if (i == at)
            fprintf(gallery->page, "<b>%zu</b>", i + 1);
        else if (i)
            fprintf(gallery->page, "<a href=\"page-%zu.html\">%zu</a>", i + 1, i + 1);
        else
            fputs("<a href=\"index.html\">1</a>", gallery->page);
    }
    fputs("</nav>\n", gallery->page);
}

static void write_head(struct gallery *gallery, size_t at)
{
    FILE *page = gallery->page;

    fputs("<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
          "<meta name=viewport content=\"width=device-width,initial-scale=1\">\n<title>Photographs</title>\n",
          page);
    fputs(gallery_style, page);
    fputs("<h1>Photographs</h1>\n<p>", page);
    write_count(page, gallery->good, "photograph", "photographs");
    if (gallery->duplicates->group_count) {
        fputs(", ", page);
        write_count(page, gallery->duplicates->group_count, "group of near-duplicates",
                    "groups of near-duplicates");
    }
    if (gallery->failed)
        fprintf(page, ", %zu failed", gallery->failed);
    fputs("</p>\n<nav>", page);
    if (!at && gallery->duplicates->group_count)
        fputs("<a href=\"#duplicates\">Near-duplicates</a>", page);
    if (!at && gallery->failed)
        fputs("<a href=\"#failed\">Failed files</a>", page);
    fputs("<a href=\"photos.h5\">Catalogue (HDF5)</a></nav>\n", page);
    write_links(gallery, at);
}

/* Whether one is more worth keeping than another: by pixels, then sharpness, then bytes. */
static bool is_better(const struct photo *one, const struct photo *other)
{
    uint64_t pixels = (uint64_t)one->width * one->height, others = (uint64_t)other->width * other->height;

    if (pixels != others)
        return pixels > others;
    if (one->look.sharpness != other->look.sharpness)
        return one->look.sharpness > other->look.sharpness;
    return one->file_size > other->file_size;
}

static void write_member(struct gallery *gallery, const struct original *original, bool is_best)
{
    FILE *page = gallery->page;

    fputs("<figure>", page);
    write_picture(gallery, original);
    fputs("<figcaption><b>", page);
    html_write_text(page, original->path + gallery->common);
    fprintf(page, "</b>%u &times; %u, ", original->photo.width, original->photo.height);
    write_size(page, original->photo.file_size);
    fprintf(page, "%s</figcaption></figure>\n", is_best ? "<span class=best>best</span>" : "");
}

static void write_group(struct gallery *gallery, struct original *const *members, size_t count)
{
    size_t best = 0;

    for (size_t i = 1; i < count; i++) {
        if (is_better(&members[i]->photo, &members[best]->photo))
            best = i;
    }
    fputs("<div class=group>\n", gallery->page);
    write_member(gallery, members[best], true);
    for (size_t i = 0, written = 1; i < count && written < MOST_MEMBERS; i++) {
        if (i != best) {
            write_member(gallery, members[i], false);
            written++;
        }
    }
    if (count > MOST_MEMBERS)
        fprintf(gallery->page, "<p>and %zu more</p>\n", count - MOST_MEMBERS);
    fputs("</div>\n", gallery->page);
}

static int by_group(const void *a, const void *b)
{
    const struct original *left = *(struct original *const *)a, *right = *(struct original *const *)b;

    if (left->group != right->group)
        return left->group < right->group ? -1 : 1;
    return strcmp(left->path, right->path);
}

/* All that are in groups, group by group; the caller frees them. NULL without memory. */
static struct original **list_members(const struct gallery *gallery)
{
    struct original **members = malloc((gallery->duplicates->member_count + 1) * sizeof(struct original *));
    size_t count = 0;

    for (size_t i = 0; members && i < gallery->originals->count; i++) {
        if (gallery->originals->items[i].group != NO_GROUP)
            members[count++] = &gallery->originals->items[i];
    }
    if (members)
        qsort(members, count, sizeof(struct original *), by_group);
    return members;
}

static int write_groups(struct gallery *gallery)
{
    size_t count = gallery->duplicates->member_count, groups = 0;
    struct original **members;

    if (!count)
        return 0;
    if (!(members = list_members(gallery)))
        return -1;
    fputs("<section id=duplicates><h2>Near-duplicates<small>", gallery->page);
    write_count(gallery->page, gallery->duplicates->group_count, "group", "groups");
    fprintf(gallery->page, ", %zu photographs</small></h2>\n<div class=groups>\n", count);
    for (size_t i = 0, end; i < count && groups < MOST_GROUPS; i = end, groups++) {
        for (end = i + 1; end < count && members[end]->group == members[i]->group;)
            end++;
        write_group(gallery, members + i, end - i);
    }
    fputs("</div>\n", gallery->page);
    if (gallery->duplicates->group_count > groups)
        fprintf(gallery->page, "<p>and %zu more groups, which are in the catalogue</p>\n",
                gallery->duplicates->group_count - groups);
    fputs("</section>\n", gallery->page);
    free(members);
    return 0;
}

static void write_failures(struct gallery *gallery)
{
    FILE *page = gallery->page;
    size_t written = 0;

    if (!gallery->failed)
        return;
    fprintf(page, "<section id=failed><h2>Failed files<small>%zu</small></h2>\n<ul class=failed>\n",
            gallery->failed);
    for (size_t i = 0; i < gallery->originals->count && written < MOST_FAILURES; i++) {
        const struct original *original = &gallery->originals->items[i];

        if (!original->error)
            continue;
        fputs("<li>", page);
        html_write_text(page, original->path + gallery->common);
        fputs("<span>", page);
        html_write_text(page, original->error);
        fputs("</span></li>\n", page);
        written++;
    }
    fputs("</ul>\n", page);
    if (gallery->failed > written)
        fprintf(page, "<p>and %zu more, which are in the catalogue</p>\n", gallery->failed - written);
    fputs("</section>\n", page);
}

/* The photographs of a page; `from` is the first original of it, and moves on to that of the next. */
static void write_photographs(struct gallery *gallery, size_t at, size_t *from)
{
    size_t first = at * PAGE, last = first + PAGE < gallery->good ? first + PAGE : gallery->good,
           written = first;

    fputs("<section><h2>All photographs", gallery->page);
    if (gallery->pages > 1)
        fprintf(gallery->page, "<small>%zu to %zu of %zu</small>", first + 1, last, gallery->good);
    fputs("</h2>\n<div class=rows>\n", gallery->page);
    for (; written < last && *from < gallery->originals->count; ++*from) {
        if (is_good(&gallery->originals->items[*from])) {
            write_picture(gallery, &gallery->originals->items[*from]);
            written++;
        }
    }
    fputs("</div></section>\n", gallery->page);
}

static void page_path(const struct gallery *gallery, size_t at, char *path, size_t size)
{
    if (at)
        snprintf(path, size, "%s/page-%zu.html", gallery->settings->out, at + 1);
    else
        snprintf(path, size, "%s/index.html", gallery->settings->out);
}

static int write_page(struct gallery *gallery, size_t at, size_t *from)
{
    char path[sizeof gallery->settings->out + 32];
    struct whole_file file;
    int status = 0;

    page_path(gallery, at, path, sizeof path);
    if (whole_file_begin(&file, path))
        return failure("'%s' cannot be written: %s", path, strerror(errno));
    gallery->page = file.stream;
    write_head(gallery, at);
    write_photographs(gallery, at, from);
    write_links(gallery, at);
    if (!at) {
        status = write_groups(gallery);
        write_failures(gallery);
    }
    fputs(gallery_script, gallery->page);
    if (whole_file_end(&file))
        return failure("'%s' cannot be written: %s", path, strerror(errno));
    return status ? failure("out of memory") : 0;
}

int gallery_write(const struct settings *settings, const struct originals *originals,
                  const struct duplicates *duplicates)
{
    struct gallery gallery = {.settings = settings, .originals = originals, .duplicates = duplicates};
    char path[sizeof settings->out + 32];
    size_t from = 0;
    int exit_status = 0;

    for (size_t i = 0; i < originals->count; i++) {
        gallery.good += is_good(&originals->items[i]);
        gallery.failed += originals->items[i].error != NULL;
    }
    gallery.common = common_length(originals);
    gallery.pages = gallery.good > PAGE ? (gallery.good + PAGE - 1) / PAGE : 1;
    for (size_t at = 0; at < gallery.pages && !exit_status; at++)
        exit_status = write_page(&gallery, at, &from);
    for (size_t at = gallery.pages; !exit_status; at++) {
        page_path(&gallery, at, path, sizeof path);
        if (unlink(path))
            break;
    }
    return exit_status;
}
