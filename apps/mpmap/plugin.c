/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens plugins with dlopen, and examines them: the latter in a process of its own (plugin_try.c). A task must be a
 * function, and the plugin's own: dlsym() would also find variables, and the functions of the libraries behind it, such
 * as printf. */
#include "plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/command.h"

static const char description_suffix[] = "_description";

/* The address of a symbol that the plugin itself defines, and what its table says of it; NULL if it does not. */
static void *own_symbol(void *handle, const char *name, const ElfW(Sym) * *symbol)
{
    void *address = dlsym(handle, name), *found;
    struct link_map *plugin, *owner;
    Dl_info info;

    if (!address || dlinfo(handle, RTLD_DI_LINKMAP, &plugin) ||
        !dladdr1(address, &info, (void **)&owner, RTLD_DL_LINKMAP) || owner != plugin ||
        !dladdr1(address, &info, &found, RTLD_DL_SYMENT) || !found)
        return NULL;
    *symbol = found;
    return address;
}

static bool is_function(const ElfW(Sym) * symbol)
{
    return ELF64_ST_TYPE(symbol->st_info) == STT_FUNC;
}

static bool is_description(const ElfW(Sym) * symbol)
{
    return ELF64_ST_TYPE(symbol->st_info) == STT_OBJECT && symbol->st_size == sizeof(mpm_task_description);
}

static bool name_description(const char *task, char *name, size_t size)
{
    return snprintf(name, size, "%s%s", task, description_suffix) < (int)size;
}

/* What the loader knows of a plugin's symbols. One name may be the end of another, so names are found by symbols. */
struct symbols {
    const ElfW(Sym) * table;
    const char *names;
    const uint32_t *hash, *gnu_hash; /* either may be NULL */
};

/* Some machines leave an address as it stands in the file. */
static const void *address_in(const struct link_map *plugin, const ElfW(Dyn) * entry)
{
    return (const void *)(entry->d_un.d_ptr + (entry->d_un.d_ptr < plugin->l_addr ? plugin->l_addr : 0));
}

static struct symbols find_symbols(void *handle)
{
    struct symbols symbols = {0};
    struct link_map *plugin;

    if (dlinfo(handle, RTLD_DI_LINKMAP, &plugin))
        return symbols;
    for (const ElfW(Dyn) *entry = plugin->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_SYMTAB)
            symbols.table = address_in(plugin, entry);
        else if (entry->d_tag == DT_STRTAB)
            symbols.names = address_in(plugin, entry);
        else if (entry->d_tag == DT_HASH)
            symbols.hash = address_in(plugin, entry);
        else if (entry->d_tag == DT_GNU_HASH)
            symbols.gnu_hash = address_in(plugin, entry);
    }
    return symbols;
}

/* No table says how many there are. In that of GNU the last chain ends with the last symbol; before it are the size of
 * the table, the first symbol in it, and the words of its filter. */
static size_t count_symbols(const struct symbols *symbols)
{
    const uint32_t *head = symbols->gnu_hash, *bucket, *chain;
    uint32_t last = 0;

    if (!symbols->table || !symbols->names || (!symbols->hash && !head))
        return 0;
    if (symbols->hash)
        return symbols->hash[1];
    bucket = (const uint32_t *)((const ElfW(Addr) *)(head + 4) + head[2]);
    chain = bucket + head[0];
    for (uint32_t i = 0; i < head[0]; i++)
        last = bucket[i] > last ? bucket[i] : last;
    if (last < head[1])
        return head[1];
    while (!(chain[last - head[1]] & 1))
        last++;
    return (size_t)last + 1;
}

/* The task that a symbol NAME_description is of, in `task`: if the plugin has such a function. */
static bool is_task_description(void *handle, const char *symbol_name, char *task, size_t size)
{
    size_t length = strlen(symbol_name), suffix = strlen(description_suffix);
    const ElfW(Sym) * symbol;

    if (length <= suffix || strcmp(symbol_name + length - suffix, description_suffix) ||
        snprintf(task, size, "%.*s", (int)(length - suffix), symbol_name) >= (int)size)
        return false;
    return own_symbol(handle, symbol_name, &symbol) && own_symbol(handle, task, &symbol) &&
           is_function(symbol);
}

/* The first task that has a description, in the order of names, behind `task`; false if there is none. */
static bool next_task(void *handle, const struct symbols *symbols, char *task, size_t size)
{
    char next[256] = "", other[256];

    for (size_t i = 0, count = count_symbols(symbols); i < count; i++) {
        const ElfW(Sym) *symbol = &symbols->table[i];

        if (symbol->st_shndx != SHN_UNDEF &&
            is_task_description(handle, symbols->names + symbol->st_name, other, sizeof other) &&
            strcmp(other, task) > 0 && (!next[0] || strcmp(other, next) < 0))
            memcpy(next, other, sizeof next);
    }
    snprintf(task, size, "%s", next);
    return next[0];
}

/* Calls take() with the name of each task that has a description, in the order of names. */
static void each_task(void *handle, void (*take)(void *handle, const char *task, void *argument),
                      void *argument)
{
    struct symbols symbols = find_symbols(handle);
    char task[256] = "";

    while (next_task(handle, &symbols, task, sizeof task))
        take(handle, task, argument);
}

struct task_list {
    char *text;
    size_t size, length;
};

static void add_task(void *handle, const char *task, void *argument)
{
    struct task_list *list = argument;

    (void)handle;
    if (list->length + strlen(task) + 3 <= list->size)
        list->length += (size_t)sprintf(list->text + list->length, "%s%s", list->length ? ", " : "", task);
}

/* Writes the names of the tasks that have a description, with ", " between them. */
static void list_tasks(void *handle, char *list, size_t list_size)
{
    list[0] = '\0';
    each_task(handle, add_task, &(struct task_list){list, list_size, 0});
}

/* What dlerror() says, without the path that it begins with. */
static const char *loader_error(const char *path)
{
    const char *error = dlerror();
    size_t length = strlen(path);

    if (!error)
        return "the loader gives no reason";
    return !strncmp(error, path, length) && !strncmp(error + length, ": ", 2) ? error + length + 2 : error;
}

static void cannot_open(const char *path, char *error, size_t size)
{
    const char *reason = loader_error(path);

    if (access(path, F_OK))
        snprintf(error, size, "plugin file '%s' does not exist", path);
    else
        snprintf(error, size, "'%s' cannot be opened as a plugin: %s", path, reason);
}

static void no_such_task(void *handle, const char *path, const char *name, char *error, size_t size)
{
    char tasks[512];

    list_tasks(handle, tasks, sizeof tasks);
    if (tasks[0])
        snprintf(error, size, "'%2$s' has no function '%1$s'; it has: %3$s", name, path, tasks);
    else
        snprintf(error, size, "no function '%s' in '%s'; it must be an extern function, spelled the same",
                 name, path);
}

static void find_task(void *handle, const char *path, const char *name, char *error, size_t size)
{
    const ElfW(Sym) * symbol;

    if (!own_symbol(handle, name, &symbol))
        no_such_task(handle, path, name, error, size);
    else if (!is_function(symbol))
        snprintf(error, size, "'%s' of '%s' is a variable: a task must be a function", name, path);
}

static void copy_text(struct plugin_text *copy, const char *text)
{
    copy->is_given = text != NULL;
    if (text)
        snprintf(copy->text, sizeof copy->text, "%s", text);
}

static void read_description(void *handle, const char *path, const char *name, struct plugin_report *report)
{
    char symbol_name[256];
    const ElfW(Sym) * symbol;
    const mpm_task_description *description;

    if (!name_description(name, symbol_name, sizeof symbol_name) ||
        !(description = own_symbol(handle, symbol_name, &symbol)))
        return;
    if (!is_description(symbol)) {
        snprintf(
            report->error, sizeof report->error,
            "%s of '%s' is not an mpm_task_description of this mpmap: it has %llu bytes, but should have %zu",
            symbol_name, path, (unsigned long long)symbol->st_size, sizeof(mpm_task_description));
        return;
    }
    report->is_described = true;
    copy_text(&report->result, description->result);
    copy_text(&report->row, description->row);
    copy_text(&report->attributes, description->attributes);
    copy_text(&report->parameters, description->parameters);
    report->rows = description->rows;
}

void plugin_examine(const char *path, const char *name, void (*tell)(const struct plugin_report *, void *),
                    void *argument)
{
    struct plugin_report report = {.stage = PLUGIN_LOADING};
    void *handle;

    tell(&report, argument);
    if (!(handle = dlopen(path, RTLD_NOW | RTLD_LOCAL))) {
        cannot_open(path, report.error, sizeof report.error);
    } else {
        report.stage = PLUGIN_SEARCHING;
        tell(&report, argument);
        find_task(handle, path, name, report.error, sizeof report.error);
    }
    if (!report.error[0]) {
        report.stage = PLUGIN_DESCRIBING;
        tell(&report, argument);
        read_description(handle, path, name, &report);
    }
    report.stage = PLUGIN_TRIED;
    tell(&report, argument);
}

/* What describes each task to somebody. */
struct describing {
    const char *path;
    struct plugin_report *report;
    void (*tell)(const struct plugin_report *, void *);
    void *argument;
};

static void describe_task(void *handle, const char *task, void *argument)
{
    const struct describing *describing = argument;
    struct plugin_report *report = describing->report;

    if (report->error[0])
        return;
    snprintf(report->task, sizeof report->task, "%s", task);
    read_description(handle, describing->path, task, report);
    if (!report->error[0])
        describing->tell(report, describing->argument);
    report->task[0] = '\0';
}

void plugin_examine_all(const char *path, void (*tell)(const struct plugin_report *, void *), void *argument)
{
    struct plugin_report report = {.stage = PLUGIN_LOADING};
    struct describing describing = {path, &report, tell, argument};
    void *handle;

    tell(&report, argument);
    if (!(handle = dlopen(path, RTLD_NOW | RTLD_LOCAL))) {
        cannot_open(path, report.error, sizeof report.error);
    } else {
        report.stage = PLUGIN_DESCRIBING;
        tell(&report, argument);
        each_task(handle, describe_task, &describing);
    }
    report.stage = PLUGIN_TRIED;
    tell(&report, argument);
}

/* A pipe would be waited for, and a folder has an odd name at the loader. What has no slash may be anywhere. */
static int check_file(const char *path)
{
    struct stat file;

    if (!stat(path, &file) && !S_ISREG(file.st_mode))
        return failure("'%s' is not a regular file, so not a plugin", path);
    return 0;
}

/* A name without a slash is a file of the working directory, if there is one. */
static const char *find_here(const char *path, char here[PATH_MAX])
{
    return !strchr(path, '/') && snprintf(here, PATH_MAX, "./%s", path) < PATH_MAX && !access(here, F_OK)
               ? here
               : path;
}

int plugin_list(const char *path, struct plugin_task **tasks, size_t *count)
{
    char here[PATH_MAX];
    int exit_status;

    path = find_here(path, here);
    exit_status = check_file(path);
    return exit_status ? exit_status : plugin_try_all(path, tasks, count);
}

int plugin_open(const char *path, const char *name, struct plugin *plugin)
{
    char here[PATH_MAX];
    const ElfW(Sym) * symbol;
    struct plugin_report report;
    int exit_status;

    path = find_here(path, here);
    if ((exit_status = check_file(path)) || (exit_status = plugin_try(path, name, &report)))
        return exit_status;
    plugin->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin->handle)
        return failure("'%s' cannot be opened as a plugin: %s", path, loader_error(path));
    plugin->task = (mpm_task *)own_symbol(plugin->handle, name, &symbol);
    if (!plugin->task)
        return failure("function '%s' of '%s' no longer exists", name, path);
    plugin->is_described = report.is_described;
    plugin->result = report.result;
    plugin->row = report.row;
    plugin->attributes = report.attributes;
    plugin->parameters = report.parameters;
    plugin->rows = report.rows;
    return 0;
}

void plugin_close(struct plugin *plugin)
{
    dlclose(plugin->handle);
    plugin->handle = NULL;
}

static bool shapes_are_equal(const mpm_shape *a, const mpm_shape *b)
{
    return a->type == b->type && a->rank == b->rank &&
           !memcmp(a->extent, b->extent, a->rank * sizeof a->extent[0]);
}

const char *plugin_struct(const struct plugin_text *wanted)
{
    bool is = wanted->is_given &&
              (wanted->text[strspn(wanted->text, " ")] == '{' || !strcmp(wanted->text, "text"));

    return is ? wanted->text : NULL;
}

bool plugin_row_fits(const struct plugin_text *wanted, const mpm_shape *row)
{
    mpm_shape shape;

    if (!wanted->is_given)
        return true;
    if (plugin_struct(wanted))
        return false;
    if (mpm_shape_parse(wanted->text, &shape))
        return false;
    return strchr(wanted->text, '[') ? shapes_are_equal(&shape, row) : shape.type == row->type;
}

/* The description may name a type only: then any shape of it will do. */
int plugin_check_row(const struct plugin *plugin, const char *function, const char *file, const char *dataset,
                     const mpm_shape *row)
{
    const char *wanted = plugin->row.text;
    mpm_shape shape;
    char text[256];

    if (!plugin->row.is_given || plugin_struct(&plugin->row))
        return 0; /* the library has checked it */
    if (mpm_shape_parse(wanted, &shape))
        return failure("%s_description: %s", function, mpm_error());
    if (plugin_row_fits(&plugin->row, row))
        return 0;
    return failure("%s takes rows of %s, but those of '%s:%s' are %s", function, wanted, file, dataset,
                   mpm_shape_format(row, text, sizeof text));
}

int plugin_find_reduction(const struct plugin *plugin, const char *path, const char *function,
                          mpm_reduction *reduction)
{
    char name[256];
    const ElfW(Sym) * symbol;
    const mpm_reduction *found = NULL;

    if (snprintf(name, sizeof name, "%s_reduction", function) < (int)sizeof name)
        found = own_symbol(plugin->handle, name, &symbol);
    if (!found)
        return failure("'%s' has no variable %s_reduction of type mpm_reduction: see doc/datasets.md", path,
                       function);
    if (ELF64_ST_TYPE(symbol->st_info) != STT_OBJECT || symbol->st_size != sizeof *found)
        return failure(
            "%s of '%s' is not an mpm_reduction of this mpmap: it has %llu bytes, but should have %zu", name,
            path, (unsigned long long)symbol->st_size, sizeof *found);
    *reduction = *found;
    if (!reduction->accumulate && !reduction->accumulate_block)
        reduction->accumulate = (mpm_accumulate *)plugin->task;
    return 0;
}
