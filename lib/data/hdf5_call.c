/* SPDX-License-Identifier: BSD-3-Clause */
/* The common ground of all calls of HDF5. The library keeps one error stack and one printer for the whole
 * process, so both are held under one lock, and the program's own printer is put back afterwards. */
#include "data/hdf5_call.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"
#include "mpmap/dataset.h"

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

void hdf5_enter(struct hdf5_guard *guard)
{
    pthread_mutex_lock(&one_at_a_time);
    guard->print = NULL;
    guard->argument = NULL;
    H5Eget_auto2(H5E_DEFAULT, &guard->print, &guard->argument);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
}

void hdf5_leave(const struct hdf5_guard *guard)
{
    H5Eset_auto2(H5E_DEFAULT, guard->print, guard->argument);
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

int hdf5_error_set(int status, const char *format, ...)
{
    char reason[512] = "HDF5 gives no reason", sentence[512];
    va_list arguments;

    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, take_message, &(struct text){reason, sizeof reason});
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    return error_set(status, "%s: %s", sentence, reason);
}

hid_t hdf5_file_access(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);

    if (access >= 0 && H5Pset_file_locking(access, 0, 1) < 0) {
        H5Pclose(access);
        return -1;
    }
    return access;
}

hid_t hdf5_native_type(mpm_type type)
{
    switch (type) {
    case MPM_I8:
        return H5T_NATIVE_INT8;
    case MPM_I16:
        return H5T_NATIVE_INT16;
    case MPM_I32:
        return H5T_NATIVE_INT32;
    case MPM_I64:
        return H5T_NATIVE_INT64;
    case MPM_U8:
        return H5T_NATIVE_UINT8;
    case MPM_U16:
        return H5T_NATIVE_UINT16;
    case MPM_U32:
        return H5T_NATIVE_UINT32;
    case MPM_U64:
        return H5T_NATIVE_UINT64;
    case MPM_F32:
        return H5T_NATIVE_FLOAT;
    case MPM_F64:
        return H5T_NATIVE_DOUBLE;
    case MPM_NO_TYPE:
        break;
    }
    return -1;
}

static mpm_type integer_type(size_t size, int is_signed)
{
    switch (size) {
    case 1:
        return is_signed ? MPM_I8 : MPM_U8;
    case 2:
        return is_signed ? MPM_I16 : MPM_U16;
    case 4:
        return is_signed ? MPM_I32 : MPM_U32;
    case 8:
        return is_signed ? MPM_I64 : MPM_U64;
    default:
        return MPM_NO_TYPE;
    }
}

mpm_type hdf5_element_type(hid_t type)
{
    size_t size = H5Tget_size(type);

    switch (H5Tget_class(type)) {
    case H5T_INTEGER:
        return integer_type(size, H5Tget_sign(type) == H5T_SGN_2);
    case H5T_FLOAT:
        return size == sizeof(float) ? MPM_F32 : size == sizeof(double) ? MPM_F64 : MPM_NO_TYPE;
    default:
        return MPM_NO_TYPE;
    }
}

char *hdf5_type_text(hid_t type, char *text, size_t size)
{
    static const char *const words[H5T_NCLASSES] = {
        [H5T_TIME] = "times",          [H5T_STRING] = "strings",
        [H5T_BITFIELD] = "bit fields", [H5T_OPAQUE] = "opaque bytes",
        [H5T_COMPOUND] = "compounds",  [H5T_REFERENCE] = "references",
        [H5T_ENUM] = "enumerations",   [H5T_VLEN] = "variable lengths",
        [H5T_ARRAY] = "arrays",        [H5T_INTEGER] = "-bit integers",
        [H5T_FLOAT] = "-bit floats",
    };
    H5T_class_t class = H5Tget_class(type);

    if (class == H5T_INTEGER || class == H5T_FLOAT)
        snprintf(text, size, "%zu%s", 8 * H5Tget_size(type), words[class]);
    else if (class > H5T_NO_CLASS && class < H5T_NCLASSES)
        snprintf(text, size, "%s", words[class]);
    else
        snprintf(text, size, "values of an unknown type");
    return text;
}

const char *mpm_hdf5_version(void)
{
    static _Thread_local char text[32];
    unsigned major = 0, minor = 0, patch = 0;

    H5get_libversion(&major, &minor, &patch);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, patch);
    return text;
}
