/* SPDX-License-Identifier: BSD-3-Clause */
/* Element types and shapes as text: what is read, what is refused, and that sizes never wrap around. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <CUnit/CUnit.h>

#include <mpmap.h>

#include "suite.h"

static void every_type_has_its_name_and_size(void)
{
#define TYPE(name, c_type, text)                                \
    CU_ASSERT_EQUAL(mpm_type_size(MPM_##name), sizeof(c_type)); \
    CU_ASSERT_STRING_EQUAL(mpm_type_name(MPM_##name), text);
    MPM_TYPE_LIST(TYPE)
#undef TYPE
}

static void what_is_no_type_has_no_size(void)
{
    CU_ASSERT_EQUAL(mpm_type_size(MPM_NO_TYPE), 0);
    CU_ASSERT_EQUAL(mpm_type_size((mpm_type)1000), 0);
    CU_ASSERT_STRING_EQUAL(mpm_type_name((mpm_type)1000), "?");
    CU_ASSERT_STRING_EQUAL(mpm_type_name((mpm_type)-1), "?");
}

static void shapes_are_read_and_written_alike(void)
{
    static const char *const texts[] = {"f64",          "i8[1]", "u8[32,32,3]", "u64[140737488355]",
                                        "f32[7,1,1,9]", "u8[]",  "f32[,3]"};

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char text[64];
        mpm_shape shape;
        CU_ASSERT_EQUAL_FATAL(mpm_shape_parse(texts[i], &shape), MPM_OK);
        CU_ASSERT_STRING_EQUAL(mpm_shape_format(&shape, text, sizeof text), texts[i]);
    }
}

static void a_shape_tells_its_sizes(void)
{
    mpm_shape shape;

    CU_ASSERT_EQUAL_FATAL(mpm_shape_parse("u16[2,3,4]", &shape), MPM_OK);
    CU_ASSERT_EQUAL(shape.type, MPM_U16);
    CU_ASSERT_EQUAL(shape.rank, 3);
    CU_ASSERT_EQUAL(shape.extent[2], 4);
    CU_ASSERT_EQUAL(mpm_shape_elements(&shape), 24);
    CU_ASSERT_EQUAL(mpm_shape_size(&shape), 48);
    CU_ASSERT_EQUAL_FATAL(mpm_shape_parse("i64", &shape), MPM_OK);
    CU_ASSERT_EQUAL(shape.rank, 0);
    CU_ASSERT_EQUAL(mpm_shape_elements(&shape), 1);
    CU_ASSERT_EQUAL(mpm_shape_size(&shape), 8);
}

/* Each bad text, and what the sentence must name. */
static const char *const bad[][2] = {
    {"", "\"\" is not an element type"},
    {"f65", "\"f65\" is not an element type: use one of i8 i16"},
    {"f6", "\"f6\""},
    {" f64", "\" f64\""},
    {"f64 ", "\"f64 \""},
    {"[3]", "\"\" is not an element type"},
    {"f64[", "lacks a number"},
    {"f64[,]", "lacks a number at \"]\""},
    {"f64[3", "should end with \"]\""},
    {"f64[3]]", "\"]]\""},
    {"f64[3] ", "\"] \""},
    {"f64[3][4]", "\"][4]\""},
    {"f64[3,,3]", "lacks a number"},
    {"f64[3,]", "lacks a number"},
    {"f64[-3]", "lacks a number at \"-3]\""},
    {"f64[+3]", "lacks a number"},
    {"f64[0x3]", "extent 0 "},
    {"f64[3.5]", "\".5]\""},
    {"f64[0]", "extent 0 "},
    {"f64[4,0,4]", "extent 0 "},
    {"u8[140737488355328]", "2^47"},
    {"f64[99999999999999999999999]", "extent 99999999999999999999999 "},
    {"u8[16777216,8388608]", "2^47 bytes or more"},
    {"f64[4294967296,4294967296]", "2^47 bytes or more"},
    {"u8[4294967296,4294967296,4294967296]", "2^47 bytes or more"},
    {"u8[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "more than 31 dimensions"},
};

static void bad_text_is_refused_by_name_and_changes_nothing(void)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        mpm_shape shape = {MPM_U8, 1, {77}};
        CU_ASSERT_EQUAL(mpm_shape_parse(bad[i][0], &shape), MPM_EINVAL);
        if (!strstr(mpm_error(), bad[i][1])) {
            printf("\"%s\": %s\n", bad[i][0], mpm_error());
            CU_FAIL("the sentence does not name what is wrong");
        }
        CU_ASSERT(shape.type == MPM_U8 && shape.rank == 1 && shape.extent[0] == 77);
    }
    CU_ASSERT_EQUAL(mpm_shape_parse(NULL, &(mpm_shape){MPM_NO_TYPE, 0, {0}}), MPM_EINVAL);
    CU_ASSERT_EQUAL(mpm_shape_parse("f64", NULL), MPM_EINVAL);
}

static void the_largest_row_is_read(void)
{
    mpm_shape shape;

    CU_ASSERT_EQUAL(mpm_shape_parse("u8[140737488355327]", &shape), MPM_OK);
    CU_ASSERT_EQUAL(mpm_shape_size(&shape), ((size_t)1 << 47) - 1);
}

static void sizes_do_not_wrap_around(void)
{
    mpm_shape huge = {MPM_F64, 2, {(size_t)1 << 33, (size_t)1 << 33}};
    mpm_shape wide = {MPM_F64, 1, {(size_t)1 << 62}};
    mpm_shape deep = {MPM_F64, MPM_MAX_DIMENSIONS + 1, {1}};

    CU_ASSERT_EQUAL(mpm_shape_elements(&huge), SIZE_MAX);
    CU_ASSERT_EQUAL(mpm_shape_size(&huge), SIZE_MAX);
    CU_ASSERT_EQUAL(mpm_shape_size(&wide), SIZE_MAX);
    CU_ASSERT_EQUAL(mpm_shape_elements(&deep), 0);
}

static void a_small_buffer_gets_the_beginning(void)
{
    mpm_shape shape = {MPM_U8, 3, {32, 32, 3}};

    for (size_t size = 1; size <= 12; size++) {
        char text[16];
        memset(text, '#', sizeof text);
        mpm_shape_format(&shape, text, size);
        CU_ASSERT_EQUAL(strlen(text), size - 1);
        CU_ASSERT_NSTRING_EQUAL(text, "u8[32,32,3]", size - 1);
        CU_ASSERT_EQUAL(text[size], '#');
    }
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"every_type_has_its_name_and_size", every_type_has_its_name_and_size},
        {"what_is_no_type_has_no_size", what_is_no_type_has_no_size},
        {"shapes_are_read_and_written_alike", shapes_are_read_and_written_alike},
        {"a_shape_tells_its_sizes", a_shape_tells_its_sizes},
        {"bad_text_is_refused_by_name_and_changes_nothing", bad_text_is_refused_by_name_and_changes_nothing},
        {"the_largest_row_is_read", the_largest_row_is_read},
        {"sizes_do_not_wrap_around", sizes_do_not_wrap_around},
        {"a_small_buffer_gets_the_beginning", a_small_buffer_gets_the_beginning},
    };
    return suite_run("type", tests, sizeof tests / sizeof *tests);
}
