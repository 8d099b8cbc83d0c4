/* SPDX-License-Identifier: BSD-3-Clause */
/* Who a thread reference is: a process of any node, as others are told of it. For sync/ and process/process_self.c. */
#ifndef PROCESS_PROCESS_INFO_H
#define PROCESS_PROCESS_INFO_H

#include "mpmap/process.h"

#include "object/thread_ref.h"

/* As far as it is still known: of a process that was closed there is neither a pid nor a name. Of one of another node,
 * that node is asked. */
void process_describe(const struct thread_ref *thread_ref, mpm_process_info *info);

/* The same in words, for a sentence that is said where the object lives, and waits for nobody: "process NAME of node N",
 * "main"; of a process that is another node's, or was closed, "a process of node N". */
#define PROCESS_WORDS_SIZE 100
const char *process_in_words(const struct thread_ref *thread_ref, char words[PROCESS_WORDS_SIZE]);

#endif
