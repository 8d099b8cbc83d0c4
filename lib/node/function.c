/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions that travel. A module's identity is a hash of its executable segments as they stand in memory:
 * position-independent code has no relocations there, so it is the same wherever it was loaded. */
#include "node/function.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

#define REMEMBERED 16

/* What is looked for among the loaded modules, and what was found of it. */
struct search {
    uintptr_t address;    /* an address in the module, or 0 */
    const char *path;     /* its path, if the address is 0 */
    bool found;           /* the module is there */
    bool executable;      /* the address is in code */
    uintptr_t base;       /* load address */
    const char *raw_name; /* as the loader calls it; "" is the program */
    uint64_t build;
};

/* Multiplicative hash over 8 bytes at a time; the tail is padded with zeros. */
static uint64_t hash_bytes(uint64_t hash, const unsigned char *bytes, size_t size)
{
    uint64_t word;

    for (; size >= sizeof word; bytes += sizeof word, size -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        hash ^= hash >> 32;
    }
    word = 0;
    memcpy(&word, bytes, size);
    hash = (hash ^ word ^ size) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

static bool is_same_file(const char *raw_name, const char *path)
{
    char real[PATH_MAX];

    if (!raw_name[0] || !path[0])
        return !raw_name[0] && !path[0];
    return realpath(raw_name, real) && !strcmp(real, path);
}

static bool has_address(const struct dl_phdr_info *module, uintptr_t address, bool *executable)
{
    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];

        if (segment->p_type == PT_LOAD && address - module->dlpi_addr - segment->p_vaddr < segment->p_memsz) {
            *executable = segment->p_flags & PF_X;
            return true;
        }
    }
    return false;
}

static uint64_t hash_module(const struct dl_phdr_info *module)
{
    uint64_t hash = 1;

    for (int i = 0; i < module->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &module->dlpi_phdr[i];

        if (segment->p_type == PT_LOAD && segment->p_flags & PF_X)
            hash = hash_bytes(hash, (const unsigned char *)module->dlpi_addr + segment->p_vaddr,
                              segment->p_filesz);
    }
    return hash;
}

/* Hashing takes as long as the code is large, and every map names its task: modules that have been hashed are
 * remembered, by their program headers, until the loader unloads anything. */
static struct {
    pthread_mutex_t mutex;
    unsigned long long unloads;
    unsigned next;
    struct {
        const ElfW(Phdr) * headers;
        uint64_t build;
    } module[REMEMBERED];
} hashed = {.mutex = PTHREAD_MUTEX_INITIALIZER};

/* Under the mutex. */
static uint64_t recall_build(const struct dl_phdr_info *module)
{
    uint64_t build;
    unsigned place;

    for (unsigned i = 0; i < REMEMBERED; i++) {
        if (hashed.module[i].headers == module->dlpi_phdr)
            return hashed.module[i].build;
    }
    build = hash_module(module);
    place = hashed.next++ % REMEMBERED;
    hashed.module[place].headers = module->dlpi_phdr;
    hashed.module[place].build = build;
    return build;
}

static uint64_t build_of(const struct dl_phdr_info *module)
{
    uint64_t build;

    pthread_mutex_lock(&hashed.mutex);
    if (hashed.unloads != module->dlpi_subs) {
        memset(hashed.module, 0, sizeof hashed.module);
        hashed.unloads = module->dlpi_subs;
    }
    build = recall_build(module);
    pthread_mutex_unlock(&hashed.mutex);
    return build;
}

static int look_at(struct dl_phdr_info *module, size_t size, void *argument)
{
    struct search *search = argument;

    (void)size;
    if (search->address ? !has_address(module, search->address, &search->executable)
                        : !is_same_file(module->dlpi_name, search->path))
        return 0;
    search->found = true;
    search->base = module->dlpi_addr;
    search->raw_name = module->dlpi_name;
    search->build = build_of(module);
    return 1;
}

static bool search_modules(struct search *search)
{
    dl_iterate_phdr(look_at, search);
    return search->found;
}

/* The program itself, which has most functions: see function_look_at_program(). */
static struct search program = {.path = ""};

void function_look_at_program(void)
{
    if (!program.found)
        search_modules(&program);
}

static int real_module_path(const char *raw_name, char *path)
{
    char real[PATH_MAX];

    path[0] = 0;
    if (!raw_name[0])
        return MPM_OK;
    if (!realpath(raw_name, real))
        return error_set_errno(MPM_EINVAL, "cannot resolve the path of %s, which has the function", raw_name);
    if (strlen(real) >= FUNCTION_MODULE_SIZE)
        return error_set(MPM_ENOMEM, "the path of a plugin must have at most %d bytes: it is %s",
                         FUNCTION_MODULE_SIZE - 1, real);
    memcpy(path, real, strlen(real) + 1);
    return MPM_OK;
}

int function_name(function_pointer *pointer, struct function *function)
{
    struct search search = {.address = (uintptr_t)pointer};
    struct function named = {0};
    int status;

    if (!pointer)
        return error_set(MPM_EINVAL, "the task is NULL: pass a function");
    if (!search_modules(&search) || !search.executable)
        return error_set(MPM_EINVAL,
                         "%p is not a function of the program, of one of its libraries, or of a plugin",
                         (void *)search.address);
    if ((status = real_module_path(search.raw_name, named.module)))
        return status;
    named.build = search.build;
    named.offset = search.address - search.base;
    *function = named;
    return MPM_OK;
}

static int point_into(const struct search *module, const struct function *function,
                      function_pointer **pointer)
{
    if (module->build != function->build)
        return error_set(MPM_EBUILD, "%s is build %016llx here, and build %016llx in main",
                         function->module[0] ? function->module : "the program",
                         (unsigned long long)module->build, (unsigned long long)function->build);
    *pointer = (function_pointer *)(module->base + function->offset);
    return MPM_OK;
}

static int load(const struct function *function, function_pointer **pointer)
{
    struct search search = {.path = function->module};

    if (!search_modules(&search)) {
        if (!dlopen(function->module, RTLD_NOW | RTLD_LOCAL))
            return error_set(MPM_ENOENT, "cannot open the plugin: %s", dlerror());
        search_modules(&search);
    }
    if (!search.found)
        return error_set(MPM_ENOENT, "%s is not among the loaded modules", function->module);
    return point_into(&search, function, pointer);
}

/* Workers have one thread, but main and its callers may have more. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct {
    struct function function;
    function_pointer *pointer;
} remembered[REMEMBERED];
static unsigned next_remembered;

static function_pointer *recall(const struct function *function)
{
    for (unsigned i = 0; i < REMEMBERED && remembered[i].pointer; i++) {
        if (!memcmp(&remembered[i].function, function, sizeof *function))
            return remembered[i].pointer;
    }
    return NULL;
}

int function_find(const struct function *function, function_pointer **pointer)
{
    function_pointer *found;
    int status = MPM_OK;

    if (!function->module[0] && program.found)
        return point_into(&program, function, pointer);
    pthread_mutex_lock(&mutex);
    if (!(found = recall(function)) && !(status = load(function, &found))) {
        remembered[next_remembered % REMEMBERED].function = *function;
        remembered[next_remembered++ % REMEMBERED].pointer = found;
    }
    pthread_mutex_unlock(&mutex);
    if (!status)
        *pointer = found;
    return status;
}

uint64_t function_program_build(void)
{
    struct search library = {.address = (uintptr_t)function_program_build};

    function_look_at_program();
    search_modules(&library);
    return program.build ^ (library.base == program.base ? 0 : library.build * 3);
}
