/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a party is: a process of any node, as others are told of it. For sync/ and process/process_self.c. */
#ifndef PROCESS_PROCESS_INFO_H
#define PROCESS_PROCESS_INFO_H

#include "mpmap/process.h"

#include "object/party.h"

/* As far as it is still known: of a process that was closed there is neither a pid nor a name. Of one of another node, that
 * node is asked. */
void process_describe(const struct party *party, mpm_process_info *info);

#endif
