/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a thread reference is: a process of any node, as others are told of it. For sync/ and process/process_self.c. */
#ifndef PROCESS_PROCESS_INFO_H
#define PROCESS_PROCESS_INFO_H

#include "mpmap/process.h"

#include "object/thread_ref.h"

/* As far as it is still known: of a process that was closed there is neither a pid nor a name. Of one of another node,
 * that node is asked. */
void process_describe(const struct thread_ref *thread_ref, mpm_process_info *info);

#endif
