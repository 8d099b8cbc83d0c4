/* SPDX-License-Identifier: BSD-3-Clause */
/* Functions that travel: a function as (module, offset in module), which means the same in every process
 * of the run, wherever the loader has put the module. For node/ and the layers above it. */
#ifndef NODE_FUNCTION_H
#define NODE_FUNCTION_H

#include <stdint.h>

#define FUNCTION_MODULE_SIZE 1000

/* Plain bytes: may be copied anywhere, and sent. */
struct function {
    uint64_t build;                    /* hash of the module's executable segments */
    uint64_t offset;                   /* from the module's load address */
    char module[FUNCTION_MODULE_SIZE]; /* absolute path; "" is the program itself */
};

typedef void function_pointer(void);

/* Names a function of this process. MPM_EINVAL if the address is in no module, or in no executable part of
 * one; MPM_ENOMEM for a path that does not fit. */
int function_name(function_pointer *pointer, struct function *function);

/* Finds it in this process; opens the module with dlopen if it is not there yet. MPM_ENOENT if it cannot be
 * opened here, MPM_EBUILD if it is another build. The last few are remembered. */
int function_find(const struct function *function, function_pointer **pointer);

/* In a rank, before it has other processes: they know the program's functions then without a look at its code, which
 * may be large. */
void function_look_at_program(void);

/* A hash of the executable segments of the program and of libmpmap: the build that ranks compare. */
uint64_t function_program_build(void);

#endif
