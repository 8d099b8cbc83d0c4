/* SPDX-License-Identifier: BSD-3-Clause */
/* Opens plugins with dlopen. A task must be the plugin's own: dlsym() would also find the functions of the
 * libraries behind it, such as printf. */
#define _GNU_SOURCE /* dladdr1, dlinfo */
#include "plugin.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

static const char description_suffix[] = "_description";

/* The address of a symbol that the plugin itself defines; NULL if it does not. */
static void *own_symbol(void *handle, const char *name)
{
    void *address = dlsym(handle, name);
    struct link_map *plugin, *owner;
    Dl_info info;

    if (!address || dlinfo(handle, RTLD_DI_LINKMAP, &plugin) ||
        !dladdr1(address, &info, (void **)&owner, RTLD_DL_LINKMAP) || owner != plugin)
        return NULL;
    return address;
}

static void *description_symbol(void *handle, const char *name)
{
    char symbol[256];
    int length = snprintf(symbol, sizeof symbol, "%s%s", name, description_suffix);

    return length < (int)sizeof symbol ? own_symbol(handle, symbol) : NULL;
}

/* The plugin's table of symbol names, one behind the other. */
static const char *symbol_names(void *handle, size_t *size)
{
    const char *names = NULL;
    struct link_map *plugin;

    *size = 0;
    if (dlinfo(handle, RTLD_DI_LINKMAP, &plugin))
        return NULL;
    for (const ElfW(Dyn) *entry = plugin->l_ld; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_STRSZ)
            *size = entry->d_un.d_val;
        /* Some machines leave the address as it stands in the file. */
        if (entry->d_tag == DT_STRTAB)
            names = (const char *)(entry->d_un.d_ptr +
                                   (entry->d_un.d_ptr < plugin->l_addr ? plugin->l_addr : 0));
    }
    return names;
}

/* Writes the names of the tasks that have a description, with ", " between them. */
static void list_tasks(void *handle, char *list, size_t list_size)
{
    size_t size, suffix = strlen(description_suffix), length = 0;
    const char *names = symbol_names(handle, &size);

    list[0] = '\0';
    for (const char *name = names; names && name < names + size; name += strlen(name) + 1) {
        size_t stem = strlen(name);

        if (stem <= suffix || strcmp(name + stem - suffix, description_suffix) || !own_symbol(handle, name))
            continue;
        stem -= suffix;
        if (length + stem + 3 > list_size)
            return;
        length += (size_t)sprintf(list + length, "%s%.*s", length ? ", " : "", (int)stem, name);
    }
}

static int no_such_task(struct plugin *plugin, const char *path, const char *name)
{
    char tasks[512];

    list_tasks(plugin->handle, tasks, sizeof tasks);
    plugin_close(plugin);
    if (tasks[0])
        return failure("there is no function '%s' in '%s', which has: %s", name, path, tasks);
    return failure("there is no function '%s' in '%s'; it must be an extern function, spelled the same", name,
                   path);
}

/* What dlerror() says, without the path that it begins with. */
static const char *loader_error(const char *path)
{
    const char *error = dlerror();
    size_t length = strlen(path);

    if (!error)
        return "the loader does not say why";
    return !strncmp(error, path, length) && !strncmp(error + length, ": ", 2) ? error + length + 2 : error;
}

static int cannot_open(const char *path)
{
    const char *error = loader_error(path);

    if (access(path, F_OK))
        return failure("there is no plugin file '%s'", path);
    return failure("'%s' is no plugin that can be opened: %s", path, error);
}

int plugin_open(const char *path, const char *name, struct plugin *plugin)
{
    char here[PATH_MAX];

    if (!strchr(path, '/') && snprintf(here, sizeof here, "./%s", path) < (int)sizeof here &&
        !access(here, F_OK))
        path = here;
    plugin->handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!plugin->handle)
        return cannot_open(path);
    plugin->task = (mpm_task *)own_symbol(plugin->handle, name);
    if (!plugin->task)
        return no_such_task(plugin, path, name);
    plugin->description = description_symbol(plugin->handle, name);
    return 0;
}

void plugin_close(struct plugin *plugin)
{
    dlclose(plugin->handle);
    plugin->handle = NULL;
}
