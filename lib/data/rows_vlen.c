/* SPDX-License-Identifier: BSD-3-Clause */
#include "data/rows_vlen.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "data/result.h"
#include "data/values.h"
#include "mpmap/vlen.h"

#define SPILL_BYTES ((size_t)1 << 20)

static struct {
    struct result *result; /* NULL: there are no such results */
    struct value_writer writer;
    int failed;           /* an errno of writing */
    const mpm_call *call; /* at work; NULL: none is */
    size_t from;          /* what was in use when it began */
} vlen = {.writer.fd = -1};

int rows_vlen_open(const char *text, const char *folder)
{
    int status;

    rows_vlen_close();
    if (!(vlen.result = malloc(sizeof *vlen.result)))
        return error_set(MPM_ENOMEM, "no memory for what a map's results are");
    status = result_parse(text, vlen.result);
    if (!status)
        status = values_begin(&vlen.writer, folder);
    if (status)
        rows_vlen_close();
    return status;
}

void rows_vlen_close(void)
{
    values_close(&vlen.writer);
    free(vlen.result);
    vlen.result = NULL;
    vlen.call = NULL;
    vlen.failed = 0;
}

void rows_vlen_begin(const mpm_call *call)
{
    vlen.call = call;
    vlen.from = vlen.writer.used;
}

void rows_vlen_drop(void)
{
    vlen.call = NULL;
    vlen.writer.used = vlen.from;
}

/* ---- What a task makes ---- */

static int say(mpm_call *call, int status, const char *sentence)
{
    mpm_fail(call, "%s", sentence);
    return error_set(status, "%s", sentence);
}

int mpm_vlen_reserve(mpm_call *call, size_t size, mpm_vlen *value, void **room)
{
    struct value_ref ref = {0};
    void *taken;

    if (!call || !value || !room)
        return error_set(MPM_EINVAL, "mpm_vlen_reserve: the call, the value and the room must not be NULL");
    if (call != vlen.call)
        return error_set(MPM_ESTATE,
                         "mpm_vlen_reserve: this call is of no map that has results of variable length");
    if (size > MPM_VLEN_MOST)
        return say(call, MPM_EINVAL, "a value of variable length has more than 1 GiB");
    if (!(taken = values_take(&vlen.writer, size, &ref)))
        return say(call, MPM_ENOMEM, "no memory for a value of variable length");
    if (!size)
        ref = (struct value_ref){0};
    memcpy(value, &ref, sizeof ref);
    *room = taken;
    return 0;
}

int mpm_vlen_put(mpm_call *call, const void *bytes, size_t size, mpm_vlen *value)
{
    void *room;
    int status;

    if (size && !bytes)
        return error_set(MPM_EINVAL, "mpm_vlen_put: the bytes are NULL, but there are %zu of them", size);
    status = mpm_vlen_reserve(call, size, value, &room);
    if (!status && size)
        memcpy(room, bytes, size);
    return status;
}

int mpm_vlen_put_text(mpm_call *call, const char *text, mpm_vlen *value)
{
    return mpm_vlen_put(call, text, text ? strlen(text) : 0, value);
}

/* ---- Whether it is what it must be ---- */

static int is_not_text(mpm_call *call, const struct result_field *field, const char *bytes, size_t size)
{
    size_t at = text_whole(bytes, size);

    if (at == size)
        return 0;
    return mpm_fail(call, "the text %s%sof its result has %s at byte %zu: such bytes are u8[], not text",
                    field->name, *field->name ? " " : "", bytes[at] ? "no UTF-8" : "a null byte", at);
}

static int check(mpm_call *call, const struct result_field *field, struct value_ref *ref)
{
    static const struct value_ref empty;
    size_t element = mpm_type_size(field->vlen);

    if (!memcmp(ref, &empty, sizeof empty))
        return 0;
    if (!values_has(&vlen.writer, ref, vlen.from))
        return mpm_fail(call,
                        "the value %s%sof its result is none that mpm_vlen_put() or mpm_vlen_reserve() has "
                        "made in this call",
                        field->name, *field->name ? " " : "");
    if (ref->size % element)
        return mpm_fail(call, "the value %s%sof its result has %" PRIu64 " bytes: %s has %zu", field->name,
                        *field->name ? " " : "", ref->size, mpm_type_name(field->vlen), element);
    if (field->is_text && is_not_text(call, field, values_bytes(&vlen.writer, ref), ref->size))
        return 1;
    values_seal(&vlen.writer, ref);
    return 0;
}

static bool accept_row(mpm_call *call, unsigned char *result)
{
    for (unsigned i = 0; i < vlen.result->count; i++) {
        const struct result_field *field = &vlen.result->field[i];
        struct value_ref ref;

        if (!field->vlen)
            continue;
        memcpy(&ref, result + field->offset, sizeof ref);
        if (check(call, field, &ref))
            return false;
        memcpy(result + field->offset, &ref, sizeof ref);
    }
    return true;
}

bool rows_vlen_accept(mpm_call *call, void *results, size_t count, size_t *row)
{
    for (size_t i = 0; i < count; i++) {
        if (!accept_row(call, (unsigned char *)results + i * vlen.result->size)) {
            *row = i;
            rows_vlen_drop();
            return false;
        }
    }
    vlen.call = NULL;
    return true;
}

/* ---- Where it goes ---- */

void rows_vlen_spill(void)
{
    if (vlen.writer.used >= SPILL_BYTES && !vlen.failed && !values_write(&vlen.writer))
        vlen.failed = errno;
}

bool rows_vlen_write(bool flushes)
{
    if (!vlen.failed && values_write(&vlen.writer) && (!flushes || values_flush(&vlen.writer)))
        return true;
    errno = vlen.failed ? vlen.failed : errno;
    return false;
}
