/* SPDX-License-Identifier: BSD-3-Clause */
/* Processes as parties of objects: those that they get in their args, and those that are to know of their death. For
 * process/ only. */
#ifndef OBJECT_PARTY_PROCESS_H
#define OBJECT_PARTY_PROCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "object/party.h"

/* Whether a handle of a kind that takes them (party_take) stands in the args. */
bool party_is_in_args(const void *args, size_t size);
/* Has all kinds take the process that is started with these. */
void party_take_args(const void *args, size_t size, const struct party *process);

/* In the host: a process of this node that had been a party somewhere has died, and its record says so: wakes whoever
 * sleeps on an object, to look again. */
void party_died_here(void);
/* In the courier: marks it in all objects of this node. */
void party_died_elsewhere(const struct party_death *death);

#endif
