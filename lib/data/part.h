/* SPDX-License-Identifier: BSD-3-Clause */
/* The part: the file OUTPUT.part, as something that is opened and written, whatever stands in it. For data/ only.
 *
 * Main makes it under the name OUTPUT.part.new, and follows no link in doing so: it is a new file, or the regular file
 * with one name that a run of the same user has left there. It is renamed to OUTPUT.part when it has its layout and its
 * record, and is on the disk: so what has that name is whole, and what has the other name holds no row. In the record
 * stand some bytes that no other file has, its token, which each run replaces. Whoever else opens the part looks for
 * its token there, so everybody writes into the file that main has open, or into none. part_record.h says the rest. */
#ifndef DATA_PART_H
#define DATA_PART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

struct part_token {
    char title[16];
    unsigned char random[16];
};

/* Whether `path` leads to, or is itself, that file. Links count as what they are, not as what they lead to. */
bool part_is_at(const char *path, const struct stat *file);

/* Opens and locks what an earlier run has left at `path`; fd is -1 if there is nothing. MPM_EEXIST if another run is at
 * work on it, or what stands there may not be taken over; MPM_EIO. */
int part_take(const char *path, int *fd);
/* The same for one of several runs that have joined. */
int part_join(const char *path, int *fd);
/* Makes a file that is to be the part, under a name that only this run uses, PATH.new. and some number, for a run that
 * joins others, all of which may try to make it. MPM_EIO. */
int part_make_own(const char *path, int *fd);
/* Gives it the part's name, and removes its own: 0, or EEXIST if another run was faster, or another errno. */
int part_name_own(const char *own, const char *path, int fd);
/* Removes names PATH.new. and some number: of that file, or if it is NULL, of any. */
void part_remove_own_names(const char *path, const struct stat *file);
/* Opens `path` as an empty file that is locked. `old`: the file that it is to replace, whose mode and group it gets; or
 * NULL. A lock of the open file description (not of the process) stays when HDF5 closes the same file. File systems
 * without locks are taken as they are.
 * MPM_EEXIST if another run is making it, or what stands there may not be taken over; MPM_EIO. */
int part_make(const char *path, const struct stat *old, int *fd);
/* MPM_EIO if there are no random bytes. */
int part_make_token(const char *path, struct part_token *token);
bool part_is_token(const struct part_token *token);
/* Puts a new token at offset `at`, on every node's file system. MPM_EIO. */
int part_renew_token(int fd, const char *path, uint64_t at, struct part_token *token);
/* Whether a run has the file open and locked. */
bool part_is_locked(int fd);
/* Gives the file another name, and replaces another file if it may: 0, or errno. Not every file system can refuse to
 * replace: there, looking first has to do. */
int part_rename(const char *from, const char *to, bool replaces);
/* Opens the part that has that token there, for reading and writing. MPM_EIO. */
int part_open(const char *path, uint64_t at, const struct part_token *token, int *fd);
/* Removes it, if the open file still has that name. Only who holds its lock may. Keeps mpm_error(). */
void part_remove(int fd, const char *path);

/* Writes all bytes at an offset; blocks a little where the file system fails for a moment. False and errno if it
 * can't. */
bool write_at(int fd, const void *bytes, size_t size, uint64_t offset);
/* Has all that is written on the disk, or the server; makes it so long. Whatever interrupts them. False and errno if
 * they can't. */
bool part_flush(int fd);
bool part_resize(int fd, uint64_t size);
/* Reads `size` bytes from there, or less at the end of the file: how many; -1 and errno if it can't. */
ssize_t read_at(int fd, void *bytes, size_t size, uint64_t offset);

#endif
