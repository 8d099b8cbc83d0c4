/* SPDX-License-Identifier: BSD-3-Clause */
/* What every use of the HDF5 library here needs: one thread in it at a time, no printing of its own, its
 * reason in our sentence, our element types in its words. For data/ only. */
#ifndef DATA_HDF5_CALL_H
#define DATA_HDF5_CALL_H

#include <stdbool.h>

#include "data/hdf5_table.h"
#include "mpmap/api.h"
#include "mpmap/type.h"

/* What hdf5_leave() puts back: how the program itself wants HDF5's errors to be printed. */
struct hdf5_guard {
    H5E_auto2_t print;
    void *argument;
};

/* Brackets calls of HDF5, once hdf5_load() has loaded it: it is not safe for threads, and prints its errors.
 * Not recursive. */
void hdf5_enter(struct hdf5_guard *guard);
void hdf5_leave(const struct hdf5_guard *guard);

/* Lets what is loaded from now on find HDF5's functions, though it is not linked with HDF5, as some plugins are. */
void hdf5_show_to_plugins(void);

/* error_set() with ": " and the innermost message of the HDF5 call that has just failed. To be called
 * between hdf5_enter() and hdf5_leave(), before any other call of HDF5, which would wipe the message. */
int hdf5_error_set(int status, const char *format, ...) MPM_FORMAT(2, 3);

/* File access with the locks that HDF5 takes unless HDF5_USE_FILE_LOCKING says otherwise, or without locks. The caller
 * closes it. Negative on failure. */
hid_t hdf5_file_access(bool locks);

/* Opens a file for reading, without a lock of its own. This process may have it open already, with locks or without,
 * and HDF5 wants a file to be opened in one way. Negative on failure. */
hid_t hdf5_open_to_read(const char *path);

/* The descriptor by which HDF5 reads an open file, and which it closes; -1 if it reads it in another way. */
int hdf5_descriptor(hid_t file);

/* The type in memory, a constant of HDF5; negative for no type. */
hid_t hdf5_native_type(mpm_type type);

/* What a type is, in words: "f32", "strings of 8 bytes", "{f64 x, i32 n}" (type_words.c). Returns `text`. */
char *hdf5_type_text(hid_t type, char *text, size_t size);

#endif
