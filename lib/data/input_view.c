/* SPDX-License-Identifier: BSD-3-Clause */
/* Rows where they are. A data set in one piece, whose numbers are this machine's own, is in the file as a task wants
 * it. Then a block of rows is not copied: its pages of the kernel's cache are mapped, for as long as the block is
 * worked on. A page is private, so a task that writes to its item against its word changes nobody's file.
 *
 * Touching a page that cannot be read would be a SIGBUS. So all pages of a block are made present first, by
 * MADV_POPULATE_READ, which fails instead: then, as on a kernel that has no such call (before 5.14), the rows are read
 * by HDF5, which finds out and says what is wrong. Only who cuts off a file while its rows are worked on, against its
 * lock, costs a worker, and these rows. Files of other machines, where mapping is slow or such trouble usual, are read.
 *
 * The descriptor is HDF5's own, once more, so it is the same file whatever its name leads to meanwhile. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "data/hdf5_call.h"
#include "data/input_inside.h"

#define LEAST_BYTES ((size_t)64 << 10) /* less is copied as fast */
#define AHEAD_BYTES ((size_t)4 << 20)  /* that the disk is asked for beforehand */
#define MOST_ALIGN  ((uint64_t)64)     /* of what stands in an array of rows: as rows.c aligns it */

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

struct view {
    int fd;
    uint64_t data_at; /* in the file, of its first row */
    size_t row_size;
    void *pages; /* that are mapped, or NULL */
    size_t pages_size;
};

/* ext4, XFS, Btrfs, F2FS, tmpfs, overlayfs. */
static bool is_near(int fd)
{
    static const unsigned long kinds[] = {0xef53, 0x58465342, 0x9123683e, 0xf2f52010, 0x01021994, 0x794c7630};
    struct statfs status;

    if (fstatfs(fd, &status))
        return false;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (((unsigned long)status.f_type & 0xffffffff) == kinds[i])
            return true;
    }
    return false;
}

/* Whether elements have the same bytes in the file as in memory: then HDF5 would copy them as they are, structs with
 * what is between their fields. */
static bool has_own_type(const struct input *input)
{
    hid_t type = hdf5.H5Dget_type(input->dataset);
    bool has = type >= 0 && hdf5.H5Tequal(type, input->memory) > 0;

    if (type >= 0)
        hdf5.H5Tclose(type);
    return has;
}

static bool is_in_one_piece(const struct input *input)
{
    hid_t creation = hdf5.H5Dget_create_plist(input->dataset);
    bool is = creation >= 0 && hdf5.H5Pget_layout(creation) == H5D_CONTIGUOUS &&
              hdf5.H5Pget_external_count(creation) == 0;

    if (creation >= 0)
        hdf5.H5Pclose(creation);
    return is && hdf5.H5Dget_offset(input->dataset) != HADDR_UNDEF;
}

/* HDF5's descriptor, once more, of the file that the data set is in, which may be another one than was opened; -1 if
 * there is none. */
static int descriptor_of(const struct input *input)
{
    hid_t file = hdf5.H5Iget_file_id(input->dataset);
    int fd = file < 0 ? -1 : hdf5_descriptor(file);

    if (fd >= 0)
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (file >= 0)
        hdf5.H5Fclose(file);
    return fd;
}

/* What an array of rows is aligned to, they are in the file. */
static bool is_whole_and_aligned(const struct view *view, uint64_t rows)
{
    uint64_t size = view->row_size, align = size & -size;
    struct stat status;

    if (align > MOST_ALIGN)
        align = MOST_ALIGN;
    return view->data_at % align == 0 && !fstat(view->fd, &status) && S_ISREG(status.st_mode) &&
           rows <= ((uint64_t)status.st_size - view->data_at) / size &&
           (uint64_t)status.st_size >= view->data_at;
}

/* The file must be as it is for as long as it is open. */
static bool may_be_seen(const struct input *input)
{
    return !input->files && !input->zip && !input->tiles.rank && !input_is_variable(input) &&
           !input->has_swmr_writer && input->locking != INPUT_HAS_NONE && is_in_one_piece(input) &&
           has_own_type(input);
}

static struct view *open_view(const struct input *input)
{
    struct view *view = calloc(1, sizeof *view);
    struct hdf5_guard guard;

    if (!view)
        return NULL;
    view->fd = -1;
    view->row_size = input_row_size(input);
    hdf5_enter(&guard);
    if (may_be_seen(input)) {
        view->data_at = hdf5.H5Dget_offset(input->dataset);
        view->fd = descriptor_of(input);
    }
    hdf5_leave(&guard);
    if (view->fd >= 0 && is_near(view->fd) && is_whole_and_aligned(view, input->file_rows))
        return view;
    input_close_view(view);
    return NULL;
}

static void leave_pages(struct view *view)
{
    if (view->pages)
        munmap(view->pages, view->pages_size);
    view->pages = NULL;
}

void input_close_view(struct view *view)
{
    if (!view)
        return;
    leave_pages(view);
    if (view->fd >= 0)
        close(view->fd);
    free(view);
}

/* If what follows is not in memory, the disk may begin with it. */
static void ask_ahead(const struct view *view, uint64_t end)
{
    char byte;

    if (preadv2(view->fd, &(struct iovec){&byte, 1}, 1, (off_t)(end + AHEAD_BYTES / 2), RWF_NOWAIT) < 0 &&
        errno == EAGAIN)
        posix_fadvise(view->fd, (off_t)end, AHEAD_BYTES, POSIX_FADV_WILLNEED);
}

static const void *see(struct view *view, uint64_t begin, size_t size)
{
    size_t before = (size_t)(begin % (uint64_t)sysconf(_SC_PAGESIZE));
    void *pages;

    leave_pages(view);
    ask_ahead(view, begin + size);
    pages = mmap(NULL, before + size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, view->fd,
                 (off_t)(begin - before));
    if (pages == MAP_FAILED)
        return NULL;
    view->pages = pages;
    view->pages_size = before + size;
    if (!madvise(pages, before + size, MADV_POPULATE_READ))
        return (const char *)pages + before;
    leave_pages(view);
    return NULL;
}

const void *input_view(struct input *input, uint64_t first, size_t count)
{
    uint64_t start, step;

    if (input->has_no_view || count < 2 || count < LEAST_BYTES / input_row_size(input))
        return NULL;
    if (!input->view && !(input->view = open_view(input))) {
        input->has_no_view = true;
        return NULL;
    }
    if (input_find_run(input, first, count, &start, &step) < count || step != 1)
        return NULL;
    return see(input->view, input->view->data_at + start * input->view->row_size,
               count * input->view->row_size);
}
