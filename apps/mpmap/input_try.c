/* SPDX-License-Identifier: BSD-3-Clause */
#include "input_try.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/command.h"
#include "support/files.h"

/* For the process, with the texts behind it: the file, the data set, and the row or "". */
struct orders {
    mpm_tiling tiling;
    unsigned axis;
    int without_locks;
    size_t dataset, row; /* where behind the struct */
};

/* What is wrong, main will find out by itself. */
static int open_input(const void *args, size_t size)
{
    struct orders orders;
    const char *texts = (const char *)args + sizeof orders;
    struct file_list files;
    mpm_dataset_map map;

    (void)size;
    memcpy(&orders, args, sizeof orders);
    if (files_expand(texts, &files))
        return 0;
    map = (mpm_dataset_map){.input_file = files.count ? NULL : texts,
                            .input_files = (const char *const *)files.names,
                            .input_file_count = files.count,
                            .input_dataset = texts + orders.dataset,
                            .row = texts[orders.row] ? texts + orders.row : NULL,
                            .axis = orders.axis,
                            .tiling = orders.tiling,
                            .without_locks = orders.without_locks};
    if (mpm_dataset_describe_input(&map, NULL, NULL))
        mpm_error();
    files_free(&files);
    return 0;
}

static struct orders *write_orders(const char *file, const mpm_dataset_map *input, size_t *size)
{
    const char *row = input->row ? input->row : "";
    size_t file_size = strlen(file) + 1, dataset_size = strlen(input->input_dataset) + 1;
    struct orders *orders;
    char *texts;

    *size = sizeof *orders + file_size + dataset_size + strlen(row) + 1;
    if (!(orders = calloc(1, *size)))
        return NULL;
    orders->tiling = input->tiling;
    orders->axis = input->axis;
    orders->without_locks = input->without_locks;
    orders->dataset = file_size;
    orders->row = file_size + dataset_size;
    texts = (char *)(orders + 1);
    memcpy(texts, file, file_size);
    memcpy(texts + orders->dataset, input->input_dataset, dataset_size);
    strcpy(texts + orders->row, row);
    return orders;
}

static int has_died(const char *file, const mpm_dataset_map *input, int exitcode)
{
    char how[64];

    if (exitcode < 0)
        snprintf(how, sizeof how, "crashed by SIG%s", sigabbrev_np(-exitcode));
    else
        snprintf(how, sizeof how, "ended its process with status %d", exitcode);
    return failure("'%s:%s' cannot be opened: HDF5, or a filter of it, %s", file, input->input_dataset, how);
}

int input_try(const char *file, const mpm_dataset_map *input)
{
    const mpm_process_options options = {.name = "open", .place = MPM_ON_NODE(mpm_node_id())};
    mpm_process process;
    size_t size;
    struct orders *orders = write_orders(file, input, &size);
    int status, exitcode = 0;

    if (!orders)
        return failure("out of memory");
    status = mpm_process_start(open_input, orders, size, &options, &process);
    free(orders);
    if (status || mpm_process_reap(process, MPM_FOREVER, &exitcode))
        return mpm_report_error();
    return exitcode ? has_died(file, input, exitcode) : 0;
}
