/* SPDX-License-Identifier: BSD-3-Clause */
#include "two_ranks.h"

#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "support/command.h"

bool find_own_folder(char *folder, size_t size)
{
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);

    if (length >= 0) {
        own[length] = 0;
        return (size_t)snprintf(folder, size, "%s", dirname(own)) < size;
    }
    failure("cannot find the programs beside this one: /proc/self/exe cannot be read");
    return false;
}

void set_two_ranks(void)
{
    setenv("MPMAP_RANKS_PER_NODE", "1", 0);
    setenv("OMPI_MCA_btl", "tcp,self", 0);
    setenv("OMPI_MCA_pml", "ob1", 0);
    setenv("OMPI_MCA_reachable", "weighted", 0); /* the other one finds no way to the same machine */
    setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 0);
    setenv("OMPI_MCA_hwloc_base_binding_policy", "none", 0);
    setenv("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe", 0); /* from version 5 on */
    setenv("PRTE_MCA_hwloc_default_binding_policy", "none", 0);
}
