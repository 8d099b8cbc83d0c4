/* SPDX-License-Identifier: BSD-3-Clause */
/* Opening the part without following a link, and knowing it again. */
#include "data/part.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "mpmap/runtime.h"

#define WRITE_TRIES 5u /* more for what fails and may pass */

static const char token_title[16] = "mpmap part\n";

bool part_is_at(const char *path, const struct stat *file)
{
    struct stat status;

    return lstat(path, &status) == 0 && status.st_dev == file->st_dev && status.st_ino == file->st_ino;
}

/* What stands where the part is to be made was left by a run of this user's, or it stays as it is. */
static int check_left_over(const char *path, int fd)
{
    struct stat status;

    if (fstat(fd, &status))
        return error_set_errno(MPM_EIO, "cannot stat %s", path);
    if (!S_ISREG(status.st_mode))
        return error_set(MPM_EEXIST,
                         "%s is not a regular file, and the output is to be written there: remove it", path);
    if (status.st_nlink != 1)
        return error_set(
            MPM_EEXIST,
            "%s has %llu hard links, so writing the output there would overwrite another file: remove it",
            path, (unsigned long long)status.st_nlink);
    if (status.st_uid != geteuid())
        return error_set(
            MPM_EEXIST, "%s belongs to another user, and the output is to be written there: remove it", path);
    return 0;
}

/* Who made it and has joined others may have died when it had two names. */
static void remove_second_name(const char *path, int fd)
{
    struct stat status;

    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 2)
        part_remove_own_names(path, &status);
}

static int open_left_over(const char *path, int *fd)
{
    int status;

    *fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0 && errno == ELOOP)
        return error_set(MPM_EEXIST,
                         "%s is a symbolic link, and the output is to be written there: remove it", path);
    if (*fd < 0)
        return error_set_errno(MPM_EIO, "cannot create %s", path);
    remove_second_name(path, *fd);
    status = check_left_over(path, *fd);
    if (status) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

static int open_new_or_left_over(const char *path, const struct stat *old, int *fd)
{
    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, old ? 0600 : 0666);
    if (*fd >= 0)
        return 0;
    return errno == EEXIST ? open_left_over(path, fd) : error_set_errno(MPM_EIO, "cannot create %s", path);
}

/* A run that is alone has it for itself, those that have joined share it. */
static int lock_part(const char *path, int fd, short type)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET};
    struct stat opened;

    if (fcntl(fd, F_OFD_SETLK, &lock) && (errno == EAGAIN || errno == EACCES))
        return type == F_RDLCK
                   ? error_set(MPM_EEXIST,
                               "a run without --join (mpm_dataset_map.join) is writing %s: wait for it", path)
                   : error_set(MPM_EEXIST, "another run is writing %s: wait for it, or choose another name",
                               path);
    if (fstat(fd, &opened) || !part_is_at(path, &opened))
        return error_set(MPM_EEXIST, "another run was writing %s until just now: check it, then try again",
                         path);
    return 0;
}

/* Nobody shall see more of the new file than of the old one: where its group cannot be had, no group does. */
static int take_mode(const char *path, int fd, const struct stat *old)
{
    struct stat now;
    mode_t mode = old->st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);

    if (fstat(fd, &now) == 0 && now.st_gid != old->st_gid && fchown(fd, (uid_t)-1, old->st_gid))
        mode &= ~(mode_t)S_IRWXG;
    return fchmod(fd, mode)
               ? error_set_errno(MPM_EIO, "cannot set the mode of %s to that of the file that it replaces",
                                 path)
               : 0;
}

int part_make(const char *path, const struct stat *old, int *fd)
{
    int status = open_new_or_left_over(path, old, fd);

    if (status)
        return status;
    status = lock_part(path, *fd, F_WRLCK);
    if (!status && !part_resize(*fd, 0))
        status = error_set_errno(MPM_EIO, "cannot write %s", path);
    if (!status && old)
        status = take_mode(path, *fd, old);
    if (status) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

/* Opens and locks one that is there, if there is. */
static int take(const char *path, short lock, int *fd)
{
    struct stat there;
    int status;

    *fd = -1;
    if (lstat(path, &there) && errno == ENOENT)
        return 0;
    status = open_left_over(path, fd);
    if (!status && (status = lock_part(path, *fd, lock))) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

int part_take(const char *path, int *fd)
{
    return take(path, F_WRLCK, fd);
}

int part_join(const char *path, int *fd)
{
    return take(path, F_RDLCK, fd);
}

int part_make_own(const char *path, int *fd)
{
    int status;

    *fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
    if (*fd < 0)
        return error_set_errno(MPM_EIO, "cannot create %s", path);
    if ((status = lock_part(path, *fd, F_RDLCK))) {
        part_remove(*fd, path);
        close(*fd);
        *fd = -1;
    }
    return status;
}

/* What link() returns may be of a reply that was lost: how many names the file has is not. */
int part_name_own(const char *own, const char *path, int fd)
{
    struct stat status;
    int failed = link(own, path) ? errno : 0;

    if (failed && fstat(fd, &status) == 0 && status.st_nlink == 2 && part_is_at(path, &status))
        failed = 0;
    if (failed == EPERM || failed == EOPNOTSUPP || failed == ENOSYS) /* there are no links there */
        failed = part_rename(own, path, false);
    unlink(own);
    return failed;
}

void part_remove_own_names(const char *path, const struct stat *file)
{
    char folder[PATH_MAX], prefix[PATH_MAX], whole[PATH_MAX];
    const char *slash = strrchr(path, '/');
    DIR *entries;

    if (!slash || snprintf(folder, sizeof folder, "%.*s/", (int)(slash - path), path) >= PATH_MAX ||
        snprintf(prefix, sizeof prefix, "%s.new.", slash + 1) >= PATH_MAX || !(entries = opendir(folder)))
        return;
    for (struct dirent *at; (at = readdir(entries));) {
        if (!strncmp(at->d_name, prefix, strlen(prefix)) &&
            snprintf(whole, sizeof whole, "%s%s", folder, at->d_name) < PATH_MAX &&
            (!file || part_is_at(whole, file)))
            unlink(whole);
    }
    closedir(entries);
}

int part_make_token(const char *path, struct part_token *token)
{
    memcpy(token->title, token_title, sizeof token->title);
    if (getrandom(token->random, sizeof token->random, 0) != sizeof token->random)
        return error_set_errno(MPM_EIO, "cannot get random bytes for %s", path);
    return 0;
}

bool part_is_token(const struct part_token *token)
{
    return !memcmp(token->title, token_title, sizeof token_title);
}

int part_renew_token(int fd, const char *path, uint64_t at, struct part_token *token)
{
    int status = part_make_token(path, token);

    if (!status && (!write_at(fd, token, sizeof *token, at) || (mpm_node_count() > 1 && !part_flush(fd))))
        status = error_set_errno(MPM_EIO, "cannot write %s", path);
    return status;
}

bool part_flush(int fd)
{
    int failed;

    do
        failed = fsync(fd);
    while (failed && errno == EINTR);
    return !failed;
}

bool part_resize(int fd, uint64_t size)
{
    int failed;

    do
        failed = ftruncate(fd, (off_t)size);
    while (failed && errno == EINTR);
    return !failed;
}

bool part_is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

int part_rename(const char *from, const char *to, bool replaces)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, replaces ? 0 : RENAME_NOREPLACE) == 0)
        return 0;
    if (errno != EINVAL && errno != ENOSYS)
        return errno;
    if (!replaces && faccessat(AT_FDCWD, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return EEXIST;
    return rename(from, to) ? errno : 0;
}

int part_open(const char *path, uint64_t at, const struct part_token *token, int *fd)
{
    struct part_token found;

    *fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (*fd < 0)
        return error_set_errno(MPM_EIO, "cannot open %s: it must be on a file system that all nodes share",
                               path);
    if (read_at(*fd, &found, sizeof found, at) == sizeof found && !memcmp(&found, token, sizeof found))
        return 0;
    close(*fd);
    *fd = -1;
    return error_set(MPM_EIO,
                     "%s is a different file on this node: it must be on a file system that all nodes share",
                     path);
}

void part_remove(int fd, const char *path)
{
    struct stat opened;

    if (fstat(fd, &opened) == 0 && part_is_at(path, &opened))
        unlink(path);
}

/* Whether a write that failed is worth another try: a server that comes back, or room that others free. */
static bool may_pass(int write_errno)
{
    return write_errno == EIO || write_errno == ESTALE || write_errno == EAGAIN || write_errno == ETIMEDOUT ||
           write_errno == ENOBUFS || write_errno == ENOMEM;
}

/* 10 ms at first, then twice as long each time. */
static void pause_before(unsigned try)
{
    nanosleep(&(struct timespec){.tv_nsec = 10000000L << try}, NULL);
}

/* What fails and may pass is tried again, a third of a second long. */
bool write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
    const char *at = bytes;
    unsigned failed = 0;

    while (size > 0) {
        ssize_t written = pwrite(fd, at, size, (off_t)offset);

        if (written > 0) {
            at += written;
            offset += (uint64_t)written;
            size -= (size_t)written;
            failed = 0;
        } else if (written < 0 && errno == EINTR) {
            continue;
        } else if (failed < WRITE_TRIES && (!written || may_pass(errno))) {
            pause_before(failed++);
        } else {
            errno = written ? errno : EIO;
            return false;
        }
    }
    return true;
}

ssize_t read_at(int fd, void *bytes, size_t size, uint64_t offset)
{
    char *at = bytes;

    while (size > 0) {
        ssize_t got = pread(fd, at, size, (off_t)offset);
        if (got < 0 && errno != EINTR)
            return -1;
        if (got == 0)
            break;
        if (got > 0) {
            at += got;
            offset += (uint64_t)got;
            size -= (size_t)got;
        }
    }
    return at - (char *)bytes;
}
