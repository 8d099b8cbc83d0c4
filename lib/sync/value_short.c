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

/* The next two: false, and nothing is written, unless the number is exact. */

static bool take_i64(mpm_type type, const union any_number *any, int64_t *number)
{
    if (is_float(type) ? !is_i64(float_in(type, any)) : type == MPM_U64 && any->U64 > INT64_MAX)
        return false;
    *number = is_float(type) ? (int64_t)float_in(type, any) : integer_in(type, any);
    return true;
}

/* Whether an integer is the same as a double. */
static bool is_exact(mpm_type type, const union any_number *any, double number)
{
    return type == MPM_U64 ? number < TWO_TO_64 && (uint64_t)number == any->U64
                           : is_i64(number) && (int64_t)number == integer_in(type, any);
}

static bool take_f64(mpm_type type, const union any_number *any, double *number)
{
    double taken = is_float(type)    ? float_in(type, any)
                   : type == MPM_U64 ? (double)any->U64
                                     : (double)integer_in(type, any);

    if (!is_float(type) && !is_exact(type, any, taken))
        return false;
    *number = taken;
    return true;
}

/* The number of a value, of whatever type. */
static int read_any(const char *call, mpm_value value, const void *number, union any_number *any)
{
    return number ? mpm_value_get(value, any) : numbers_missing(call);
}

int mpm_value_get_i64(mpm_value value, int64_t *number)
{
    mpm_type type = number_type_of(value.handle);
    union any_number any;
    int status = read_any("mpm_value_get_i64", value, number, &any);

    if (status || take_i64(type, &any, number))
        return status;
    return error_set(MPM_ETYPE, "mpm_value_get_i64: the number, of type %s, does not fit into an int64_t",
                     mpm_type_name(type));
}

int mpm_value_get_f64(mpm_value value, double *number)
{
    mpm_type type = number_type_of(value.handle);
    union any_number any;
    int status = read_any("mpm_value_get_f64", value, number, &any);

    if (status || take_f64(type, &any, number))
        return status;
    return error_set(MPM_ETYPE, "mpm_value_get_f64: the number, of type %s, is not exact as a double",
                     mpm_type_name(type));
}
