/* SPDX-License-Identifier: BSD-3-Clause */
/* How HDF5 comes into a process, and the common ground of all calls of it. The library keeps one error stack
 * and one printer for the whole process, so both are held under one lock, and the program's own printer is put
 * back afterwards. */
#include "data/hdf5_call.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/c_locale.h"
#include "base/error.h"
#include "mpmap/dataset.h"

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

struct hdf5_table hdf5;

static int load_table(void)
{
    static const char *const names[] = {HDF5_SYMBOLS(LIBRARY_NAME)};
    static const struct library library = {
        .title = "HDF5",
        .soname = HDF5_SONAME,
        .path = HDF5_PATH,
        .flags = RTLD_NOW | RTLD_LOCAL,
        .names = names,
        .name_count = sizeof names / sizeof *names,
    };
    struct hdf5_table found;
    bool is_ours = !dlsym(RTLD_DEFAULT, names[0]) && !dlopen(HDF5_SONAME, RTLD_LAZY | RTLD_NOLOAD);
    int status = library_load(&library, &found);

    if (status)
        return status;
    if (is_ours)
        found.H5dont_atexit(); /* we close what we open; after a damaged file it would complain at exit */
    if (found.H5open() < 0)
        return error_set(MPM_EIO, "cannot start HDF5");
    hdf5 = found;
    return 0;
}

int hdf5_load(void)
{
    int status = 0;

    pthread_mutex_lock(&one_at_a_time);
    if (!hdf5.H5open)
        status = load_table();
    pthread_mutex_unlock(&one_at_a_time);
    return status;
}

void hdf5_show_to_plugins(void)
{
    void *handle = dlopen(HDF5_SONAME, RTLD_LAZY | RTLD_NOLOAD | RTLD_GLOBAL);

    if (handle)
        dlclose(handle); /* it stays loaded, and global */
}

void hdf5_enter(struct hdf5_guard *guard)
{
    pthread_mutex_lock(&one_at_a_time);
    guard->print = NULL;
    guard->argument = NULL;
    hdf5.H5Eget_auto2(H5E_DEFAULT, &guard->print, &guard->argument);
    hdf5.H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void hdf5_leave(const struct hdf5_guard *guard)
{
    hdf5.H5Eset_auto2(H5E_DEFAULT, guard->print, guard->argument);
    pthread_mutex_unlock(&one_at_a_time);
}

struct text {
    char *bytes;
    size_t size;
};

/* Takes the message of the first entry, which stands nearest to the cause, and stops the walk. */
static herr_t take_message(unsigned depth, const H5E_error2_t *entry, void *argument)
{
    struct text *text = argument;

    if (depth == 0 && entry->desc)
        snprintf(text->bytes, text->size, "%s", entry->desc);
    return 1;
}

/* What a failed call of the system comes with is for HDF5's own people, and two lines long. What the system said is in
 * it: "file write failed: time = …, errno = 28, error message = 'No space left on device', buf = …". */
static void shorten(char *reason)
{
    static const char before[] = "error message = '";
    char *details = strstr(reason, ": time = "), *message = strstr(reason, before);
    size_t length = message ? strcspn(message + sizeof before - 1, "'") : 0;

    if (details && length && details < message) {
        memmove(details + 2, message + sizeof before - 1, length);
        details[2 + length] = '\0';
    }
    for (char *at = reason; *at; at++)
        *at = *at == '\n' ? ' ' : *at;
}

int hdf5_error_set(int status, const char *format, ...)
{
    char reason[512] = "HDF5 reported no reason", sentence[512];
    va_list arguments;

    hdf5.H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_message, &(struct text){reason, sizeof reason});
    shorten(reason);
    va_start(arguments, format);
    c_vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return error_set(status, "%s: %s", sentence, reason);
}

hid_t hdf5_file_access(bool locks)
{
    hid_t access = hdf5.H5Pcreate(*hdf5.H5P_CLS_FILE_ACCESS_ID_g);

    if (access >= 0 && !locks && hdf5.H5Pset_file_locking(access, 0, 1) < 0) {
        hdf5.H5Pclose(access);
        return -1;
    }
    return access;
}

hid_t hdf5_open_to_read(const char *path)
{
    hid_t file = -1;

    for (int locks = 0; file < 0 && locks < 2; locks++) {
        hid_t access = hdf5_file_access(locks);

        if (access < 0)
            break;
        file = hdf5.H5Fopen(path, H5F_ACC_RDONLY, access);
        hdf5.H5Idec_ref(access);
    }
    return file;
}

int hdf5_descriptor(hid_t file)
{
    hid_t access = hdf5.H5Fget_access_plist(file);
    void *handle = NULL;
    int fd = -1;

    if (access >= 0 && hdf5.H5Pget_driver(access) == hdf5.H5FD_sec2_init() &&
        hdf5.H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) >= 0 && handle)
        fd = *(const int *)handle;
    if (access >= 0)
        hdf5.H5Pclose(access);
    return fd;
}

hid_t hdf5_native_type(mpm_type type)
{
    switch (type) {
    case MPM_I8:
        return *hdf5.H5T_NATIVE_INT8_g;
    case MPM_I16:
        return *hdf5.H5T_NATIVE_INT16_g;
    case MPM_I32:
        return *hdf5.H5T_NATIVE_INT32_g;
    case MPM_I64:
        return *hdf5.H5T_NATIVE_INT64_g;
    case MPM_U8:
        return *hdf5.H5T_NATIVE_UINT8_g;
    case MPM_U16:
        return *hdf5.H5T_NATIVE_UINT16_g;
    case MPM_U32:
        return *hdf5.H5T_NATIVE_UINT32_g;
    case MPM_U64:
        return *hdf5.H5T_NATIVE_UINT64_g;
    case MPM_F32:
        return *hdf5.H5T_NATIVE_FLOAT_g;
    case MPM_F64:
        return *hdf5.H5T_NATIVE_DOUBLE_g;
    case MPM_NO_TYPE:
        break;
    }
    return -1;
}

const char *mpm_hdf5_version(void)
{
    static _Thread_local char text[32];
    unsigned major = 0, minor = 0, patch = 0;

    if (hdf5_load())
        return "none";
    hdf5.H5get_libversion(&major, &minor, &patch);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, patch);
    return text;
}
