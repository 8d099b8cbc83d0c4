/* SPDX-License-Identifier: BSD-3-Clause */
/* Libraries that are loaded late: their functions and variables are used through a table, and what is wrong
 * with one is said in a sentence. The library is plugins/late.so beside this program. */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <CUnit/CUnit.h>

#include <mpmap.h>

#include "base/library.h"
#include "suite.h"

#define NOWHERE "libnowhere.so.7"

/* As the header of the library would declare them; late_absent is not in it. */
extern int late_number;
int late_sum(int addend);
int late_absent(void);

static const char *late_path(void)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "plugins/late.so");

    CU_ASSERT_FATAL(length > 0);
    path[length] = '\0';
    strcpy(strrchr(path, '/') + 1, "plugins/late.so");
    return path;
}

static struct library library_of(const char *const *names, size_t count, const char *soname, const char *path)
{
    return (struct library){.title = "Late",
                            .soname = soname,
                            .path = path,
                            .flags = RTLD_NOW | RTLD_LOCAL,
                            .names = names,
                            .name_count = count};
}

#define LATE_SYMBOLS(ENTRY) \
    ENTRY(late_sum)         \
    ENTRY(late_number)

struct late {
    LATE_SYMBOLS(LIBRARY_MEMBER)
};

static const char *const late_names[] = {LATE_SYMBOLS(LIBRARY_NAME)};

static void a_library_is_loaded_and_used_through_its_table(void)
{
    struct library library = library_of(late_names, 2, NOWHERE, late_path());
    struct late late;

    CU_ASSERT_PTR_NULL(dlsym(RTLD_DEFAULT, "late_sum"));
    CU_ASSERT_PTR_NULL(dlopen(late_path(), RTLD_NOW | RTLD_NOLOAD));
    CU_ASSERT_EQUAL_FATAL(library_load(&library, &late), MPM_OK);
    CU_ASSERT_EQUAL(late.late_sum(2), 42);
    *late.late_number = 50;
    CU_ASSERT_EQUAL(late.late_sum(2), 52);
    CU_ASSERT_PTR_NULL(dlsym(RTLD_DEFAULT, "late_sum"));
}

static void a_library_that_is_loaded_already_is_the_same_one(void)
{
    struct library library = library_of(late_names, 2, late_path(), NOWHERE);
    struct late first, second;

    CU_ASSERT_EQUAL_FATAL(library_load(&library, &first), MPM_OK);
    CU_ASSERT_EQUAL_FATAL(library_load(&library, &second), MPM_OK);
    CU_ASSERT_EQUAL(memcmp(&first, &second, sizeof first), 0);
}

#define PROCESS_SYMBOLS(ENTRY) \
    ENTRY(getenv)              \
    ENTRY(environ)

/* The variable must be the program's own copy, which the library uses as well. */
static void what_the_program_has_itself_is_not_loaded(void)
{
    static const char *const names[] = {PROCESS_SYMBOLS(LIBRARY_NAME)};
    struct library library = library_of(names, 2, NOWHERE, "/nowhere/" NOWHERE);
    struct {
        PROCESS_SYMBOLS(LIBRARY_MEMBER)
    } process;

    CU_ASSERT_EQUAL_FATAL(library_load(&library, &process), MPM_OK);
    CU_ASSERT_PTR_EQUAL(process.environ, &environ);
    CU_ASSERT_PTR_EQUAL(process.getenv("PATH"), getenv("PATH"));
}

static void a_library_that_is_not_there_is_named(void)
{
    struct library library = library_of(late_names, 2, NOWHERE, "/nowhere/" NOWHERE);
    struct late late = {0};

    CU_ASSERT_EQUAL(library_load(&library, &late), MPM_ENOENT);
    CU_ASSERT_PTR_NOT_NULL(
        strstr(mpm_error(), "Late is needed, but neither " NOWHERE " nor /nowhere/" NOWHERE));
    CU_ASSERT_PTR_NULL(late.late_sum);
    CU_ASSERT_PTR_NULL(late.late_number);
}

#define ABSENT_SYMBOLS(ENTRY) \
    ENTRY(late_sum)           \
    ENTRY(late_absent)

static void a_library_that_lacks_a_name_is_refused(void)
{
    static const char *const names[] = {ABSENT_SYMBOLS(LIBRARY_NAME)};
    struct library library = library_of(names, 2, late_path(), NOWHERE);
    struct {
        ABSENT_SYMBOLS(LIBRARY_MEMBER)
    } late = {0};

    CU_ASSERT_EQUAL(library_load(&library, &late), MPM_EBUILD);
    CU_ASSERT_PTR_NOT_NULL(strstr(mpm_error(), "lacks late_absent"));
    CU_ASSERT_PTR_NULL(late.late_sum);
}

int main(void)
{
    static const struct suite_test tests[] = {
        {"a_library_is_loaded_and_used_through_its_table", a_library_is_loaded_and_used_through_its_table},
        {"a_library_that_is_loaded_already_is_the_same_one",
         a_library_that_is_loaded_already_is_the_same_one},
        {"what_the_program_has_itself_is_not_loaded", what_the_program_has_itself_is_not_loaded},
        {"a_library_that_is_not_there_is_named", a_library_that_is_not_there_is_named},
        {"a_library_that_lacks_a_name_is_refused", a_library_that_lacks_a_name_is_refused},
    };
    return suite_run("library", tests, sizeof tests / sizeof *tests);
}
