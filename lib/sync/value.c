/* SPDX-License-Identifier: BSD-3-Clause */
/* Values: arrays of one number that stands in the object record; see numbers.c for who writes what. */
#include "mpmap/value.h"

#include "mpmap/status.h"

#include "sync/numbers.h"

int mpm_value_create(mpm_type type, const void *initial, mpm_value *value)
{
    return numbers_create(OBJECT_VALUE, type, 1, initial, value ? &value->handle : NULL);
}

int mpm_value_destroy(mpm_value value)
{
    return numbers_destroy(value.handle, OBJECT_VALUE);
}

int mpm_value_get(mpm_value value, void *number)
{
    return number ? numbers_update(value.handle, OBJECT_VALUE, 0,
                                   (struct number_change){NUMBER_GET, NULL, NULL, number})
                  : numbers_missing("mpm_value_get");
}

int mpm_value_set(mpm_value value, const void *number)
{
    return number ? numbers_update(value.handle, OBJECT_VALUE, 0,
                                   (struct number_change){.op = NUMBER_SET, .operand = number})
                  : numbers_missing("mpm_value_set");
}

int mpm_value_add(mpm_value value, const void *number)
{
    return number ? numbers_update(value.handle, OBJECT_VALUE, 0,
                                   (struct number_change){.op = NUMBER_ADD, .operand = number})
                  : numbers_missing("mpm_value_add");
}

int mpm_value_fetch_add(mpm_value value, const void *number, void *before)
{
    return number && before ? numbers_update(value.handle, OBJECT_VALUE, 0,
                                             (struct number_change){NUMBER_ADD, number, NULL, before})
                            : numbers_missing("mpm_value_fetch_add");
}

int mpm_value_exchange(mpm_value value, const void *number, void *before)
{
    return number && before ? numbers_update(value.handle, OBJECT_VALUE, 0,
                                             (struct number_change){NUMBER_SET, number, NULL, before})
                            : numbers_missing("mpm_value_exchange");
}

int mpm_value_compare_exchange(mpm_value value, const void *expected, const void *desired, void *before)
{
    return expected && desired && before
               ? numbers_update(value.handle, OBJECT_VALUE, 0,
                                (struct number_change){NUMBER_COMPARE_EXCHANGE, expected, desired, before})
               : numbers_missing("mpm_value_compare_exchange");
}

int mpm_value_min(mpm_value value, const void *number)
{
    return number ? numbers_update(value.handle, OBJECT_VALUE, 0,
                                   (struct number_change){.op = NUMBER_MIN, .operand = number})
                  : numbers_missing("mpm_value_min");
}

int mpm_value_max(mpm_value value, const void *number)
{
    return number ? numbers_update(value.handle, OBJECT_VALUE, 0,
                                   (struct number_change){.op = NUMBER_MAX, .operand = number})
                  : numbers_missing("mpm_value_max");
}

int mpm_value_type(mpm_value value, mpm_type *type)
{
    int status;

    if (!type)
        return numbers_missing("mpm_value_type");
    if ((status = numbers_update(value.handle, OBJECT_VALUE, 0,
                                 (struct number_change){NUMBER_GET}))) /* is it there? */
        return status;
    *type = number_type_of(value.handle);
    return MPM_OK;
}

int mpm_value_pointer(mpm_value value, void **number)
{
    return numbers_pointer("mpm_value_pointer", value.handle, OBJECT_VALUE, number);
}

int mpm_value_lock(mpm_value value, double timeout_s)
{
    return numbers_lock(value.handle, OBJECT_VALUE, timeout_s);
}

int mpm_value_unlock(mpm_value value)
{
    return numbers_unlock(value.handle, OBJECT_VALUE);
}
