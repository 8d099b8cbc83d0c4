/* SPDX-License-Identifier: BSD-3-Clause */
/* What bounds the CPUs of a rank beside its affinity mask: the quota of its control group, and what a batch system gave
 * where it does not bind. For net/topology.h. */
#ifndef NET_CPU_LIMIT_H
#define NET_CPU_LIMIT_H

#include <stdint.h>

/* A number of CPUs; 0 is no limit. Plain bytes. */
struct cpu_quota {
    uint64_t group; /* ranks of a machine whose quota is of the same group share it */
    uint32_t cpus;  /* rounded up: half a CPU keeps one worker busy half of the time */
    uint32_t unused;
};

/* The least quota of the control groups of a process, and of those above them, of version 1 and 2. `own_groups` is a
 * file as /proc/self/cgroup is, `groups` a folder as /sys/fs/cgroup. */
struct cpu_quota cpu_quota_of(const char *own_groups, const char *groups);

/* CPUs of the batch job on this machine, which all its ranks there share: of Slurm. 0: not known. */
uint32_t cpu_limit_of_job(void);
/* CPUs of the task that the calling process is, where srun has started it. 0: not known. */
uint32_t cpu_limit_of_task(void);

#endif
