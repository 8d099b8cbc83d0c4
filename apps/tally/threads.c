/* SPDX-License-Identifier: BSD-3-Clause */
#include "threads.h"

#include <mpmap.h>
#include <pthread.h>

#define MUCH ((size_t)4 << 20)

unsigned threads_worth(size_t bytes)
{
    unsigned cpus = mpm_cpu_count();

    return bytes < MUCH || !cpus ? 1 : cpus < MOST_THREADS ? cpus : MOST_THREADS;
}

void threads_run(void *(*run)(void *), void *arguments, size_t size, unsigned count)
{
    pthread_t threads[MOST_THREADS];
    unsigned begun = 0;

    while (begun + 1 < count && !pthread_create(&threads[begun], NULL, run, (char *)arguments + begun * size))
        begun++;
    for (unsigned i = begun; i < count; i++)
        run((char *)arguments + i * size);
    for (unsigned i = 0; i < begun; i++)
        pthread_join(threads[i], NULL);
}
