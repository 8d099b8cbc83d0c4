/* SPDX-License-Identifier: BSD-3-Clause */
/* The file operations of a claim table on a real folder. All of them name what they work on by a folder that is held
 * open, so a folder that has been removed, and made again under the same name, is never mistaken for the first. */
#include "claim/claim_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"

#define REMOVE_TRIES 100u

static int list_folder(void *argument, void (*entry)(const char *name, void *to), void *to)
{
    int fd = openat(*(const int *)argument, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed;
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);

    if (!folder) {
        failed = errno;
        if (fd >= 0)
            close(fd);
        return failed;
    }
    errno = 0;
    for (struct dirent *at; (at = readdir(folder)); errno = 0) {
        if (at->d_name[0] != '.')
            entry(at->d_name, to);
    }
    failed = errno;
    closedir(folder);
    return failed;
}

/* The text is small, and for whoever wants to know who it is: nothing depends on it. */
static int create_file(void *argument, const char *name, const char *text)
{
    int fd = openat(*(const int *)argument, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666);
    int failed = fd < 0 ? errno : 0;

    if (!failed && *text && pwrite(fd, text, strlen(text), 0) < 0)
        failed = errno;
    if (fd >= 0 && close(fd) && !failed)
        failed = errno;
    return failed;
}

static int rename_file(void *argument, const char *from, const char *to)
{
    int folder = *(const int *)argument;

    return renameat(folder, from, folder, to) ? errno : 0;
}

static int remove_file(void *argument, const char *name)
{
    return unlinkat(*(const int *)argument, name, 0) ? errno : 0;
}

static uint64_t now_ns(void *argument)
{
    (void)argument;
    return clock_now_ns();
}

struct claim_files claim_files_of(int *folder)
{
    return (struct claim_files){folder, list_folder, create_file, rename_file, remove_file, now_ns};
}

int claim_folder_open(const char *path, int *folder)
{
    *folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *folder < 0 ? errno : 0;
}

static void remove_entry(const char *name, void *folder)
{
    remove_file(folder, name);
}

/* Runs that do not know yet that it is over may make their files once more meanwhile. */
static void remove_folder(const char *path)
{
    int folder;

    if (claim_folder_open(path, &folder))
        return;
    for (unsigned tries = 0; tries < REMOVE_TRIES; tries++) {
        list_folder(&folder, remove_entry, &folder);
        if (!rmdir(path) || (errno != ENOTEMPTY && errno != EEXIST))
            break;
    }
    close(folder);
}

int claim_folder_make(const char *path, int (*fill)(int folder, void *argument), void *argument)
{
    char own[PATH_MAX];
    uint64_t random;
    int folder, failed;

    if (access(path, F_OK) == 0)
        return 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        return errno;
    if (snprintf(own, sizeof own, "%s.%016" PRIx64, path, random) >= PATH_MAX)
        return ENAMETOOLONG;
    if (mkdir(own, 0777))
        return errno;
    failed = claim_folder_open(own, &folder);
    if (!failed) {
        failed = fill(folder, argument);
        close(folder);
    }
    /* It does not replace one that is there, since that is never empty. */
    if (!failed && rename(own, path))
        failed = errno;
    if (!failed)
        return 0;
    remove_folder(own);
    return access(path, F_OK) == 0 ? 0 : failed;
}

void claim_folders_remove(const char *prefix)
{
    char parent[PATH_MAX], whole[PATH_MAX];
    const char *name = strrchr(prefix, '/');
    DIR *folder;

    if (!name || snprintf(parent, sizeof parent, "%.*s/", (int)(name - prefix), prefix) >= PATH_MAX ||
        !(folder = opendir(parent)))
        return;
    name++;
    for (struct dirent *at; (at = readdir(folder));) {
        if (!strncmp(at->d_name, name, strlen(name)) &&
            snprintf(whole, sizeof whole, "%s%s", parent, at->d_name) < PATH_MAX)
            remove_folder(whole);
    }
    closedir(folder);
}
