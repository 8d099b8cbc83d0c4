/* SPDX-License-Identifier: BSD-3-Clause */
/* Plugins: shared objects with tasks in them. */
#ifndef MPMAP_PLUGIN_FILE_H
#define MPMAP_PLUGIN_FILE_H

#include <mpmap.h>

struct plugin {
    void *handle;
    mpm_task *task;
    const mpm_description *description; /* NULL if the plugin has none of it */
};

/* Opens the plugin at `path` (without a slash: in the working directory, else where the loader looks) and
 * finds the task `name` in it. Returns 0, or the exit status after telling what is wrong. */
int plugin_open(const char *path, const char *name, struct plugin *plugin);
void plugin_close(struct plugin *plugin);

#endif
