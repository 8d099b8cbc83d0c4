/* SPDX-License-Identifier: BSD-3-Clause */
/* Values as C has numbers: an int64_t or a double, whatever the type of the value. A handle tells the type, so this
 * costs no message. A number that the other type is not able to have is refused before anything is done. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "mpmap/status.h"
#include "mpmap/value.h"

#include "base/error.h"
#include "sync/numbers.h"

#define TWO_TO_63 9223372036854775808.0
#define TWO_TO_64 18446744073709551616.0

/* A number of any type. */
union any_number {
#define MEMBER(name, c_type, text) c_type name;
    MPM_TYPE_LIST(MEMBER)
#undef MEMBER
};

static bool is_float(mpm_type type)
{
    return type == MPM_F32 || type == MPM_F64;
}

static bool is_unsigned(mpm_type type)
{
    return type >= MPM_U8 && type <= MPM_U64;
}

/* Whether an int64_t is able to have it. */
static bool is_i64(double number)
{
    return number >= -TWO_TO_63 && number < TWO_TO_63 && trunc(number) == number;
}

/* To the type of a value. */

/* A negative number goes into an unsigned one modulo 2^n, so that adding it takes away its amount. */
static bool put_integer(mpm_type type, int64_t number, union any_number *any)
{
    unsigned bits = 8 * (unsigned)number_size(type);
    int64_t end;

    number_put(type, (uint64_t)number, any);
    if (bits == 64)
        return true;
    end = INT64_C(1) << (is_unsigned(type) ? bits : bits - 1);
    return number < end && (is_unsigned(type) ? number > -end : number >= -end);
}

static bool put_float(mpm_type type, double number, union any_number *any)
{
    if (type == MPM_F64) {
        any->F64 = number;
        return true;
    }
    any->F32 = (float)number;
    return isnan(number) || (double)any->F32 == number;
}

int mpm_value_add_i64(mpm_value value, int64_t number)
{
    mpm_type type = number_type_of(value.handle);
    union any_number any;
    bool fits;
    int status;

    if ((status = numbers_check_handle(value.handle, OBJECT_VALUE)))
        return status;
    if (is_float(type))
        fits = is_i64((double)number) && (int64_t)(double)number == number &&
               put_float(type, (double)number, &any);
    else
        fits = put_integer(type, number, &any);
    if (!fits)
        return error_set(MPM_ETYPE, "mpm_value_add_i64: a value of type %s cannot hold %lld",
                         mpm_type_name(type), (long long)number);
    return mpm_value_add(value, &any);
}

int mpm_value_add_f64(mpm_value value, double number)
{
    mpm_type type = number_type_of(value.handle);
    union any_number any;
    bool fits;
    int status;

    if ((status = numbers_check_handle(value.handle, OBJECT_VALUE)))
        return status;
    if (is_float(type))
        fits = put_float(type, number, &any);
    else
        fits = is_i64(number) && put_integer(type, (int64_t)number, &any);
    if (!fits)
        return error_set(MPM_ETYPE, "mpm_value_add_f64: a value of type %s cannot hold %.17g",
                         mpm_type_name(type), number);
    return mpm_value_add(value, &any);
}

/* From the type of a value. */

static double float_in(mpm_type type, const union any_number *any)
{
    return type == MPM_F32 ? (double)any->F32 : any->F64;
}

/* Of any integer but an MPM_U64. */
static int64_t integer_in(mpm_type type, const union any_number *any)
{
    switch (type) {
    case MPM_I8:
        return any->I8;
    case MPM_I16:
        return any->I16;
    case MPM_I32:
        return any->I32;
    case MPM_U8:
        return any->U8;
    case MPM_U16:
        return any->U16;
    case MPM_U32:
        return any->U32;
    default:
        return any->I64;
    }
}

static bool take_i64(mpm_type type, const union any_number *any, int64_t *number)
{
    if (is_float(type)) {
        if (!is_i64(float_in(type, any)))
            return false;
        *number = (int64_t)float_in(type, any);
        return true;
    }
    *number = integer_in(type, any);
    return type != MPM_U64 || any->U64 <= INT64_MAX;
}

static bool take_f64(mpm_type type, const union any_number *any, double *number)
{
    if (is_float(type)) {
        *number = float_in(type, any);
        return true;
    }
    if (type == MPM_U64) {
        *number = (double)any->U64;
        return *number < TWO_TO_64 && (uint64_t)*number == any->U64;
    }
    *number = (double)integer_in(type, any);
    return is_i64(*number) && (int64_t)*number == integer_in(type, any);
}

int mpm_value_get_i64(mpm_value value, int64_t *number)
{
    mpm_type type = number_type_of(value.handle);
    union any_number any;
    int64_t taken;
    int status;

    if (!number)
        return numbers_missing("mpm_value_get_i64");
    if ((status = mpm_value_get(value, &any)))
        return status;
    if (!take_i64(type, &any, &taken))
        return error_set(MPM_ETYPE, "mpm_value_get_i64: the number, of type %s, does not fit into an int64_t",
                         mpm_type_name(type));
    *number = taken;
    return MPM_OK;
}

int mpm_value_get_f64(mpm_value value, double *number)
{
    mpm_type type = number_type_of(value.handle);
    union any_number any;
    double taken;
    int status;

    if (!number)
        return numbers_missing("mpm_value_get_f64");
    if ((status = mpm_value_get(value, &any)))
        return status;
    if (!take_f64(type, &any, &taken))
        return error_set(MPM_ETYPE, "mpm_value_get_f64: the number, of type %s, is not exact as a double",
                         mpm_type_name(type));
    *number = taken;
    return MPM_OK;
}
