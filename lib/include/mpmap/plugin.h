/* SPDX-License-Identifier: BSD-3-Clause */
/** @file plugin.h  How a plugin, a shared object with tasks in it, describes a task. */
#ifndef MPMAP_PLUGIN_H
#define MPMAP_PLUGIN_H

#include "api.h"
#include "pool.h"

MPM_BEGIN

/** Description of the task NAME. The plugin exports it as the variable NAME_description:
 *
 *     const mpm_task_description mean_description = {.result = "f64", .row = "f32", .help = "mean of a row"};
 *     int mean(mpm_call *call, const void *item, void *result) { … }
 */
typedef struct mpm_task_description {
    /** Type and shape of a result, as mpm_shape_parse() reads it: "f64"; or several results as a struct, "{f64 mean,
     * u8[16,16] thumb, text name}": see mpm_dataset_map.results. */
    const char *result;
    /** What a row must be: "u8[64,64,3]", only its type ("f32"), or the struct that is to be made of a compound's
     * fields ("{f64 x, i32 n}", see mpm_dataset_map.row); NULL: anything. */
    const char *row;
    const char *help; /**< one line for a user; NULL: none */
    /** What the results mean, a line each: "units = K", or "mean.units = K" for one of several: see
     * mpm_dataset_map.attributes. NULL: nothing. */
    const char *attributes;
    /** The most rows that the task takes in one call, if it takes several: see mpm_dataset_map.task_rows. 0: one. */
    size_t rows;
    /** What a user may set for the task, a struct with values for those that need not be set: "{f64 sigma = 1.5, i32
     * order, u8[16] name = none}", see mpm_dataset_read_parameters(). The task finds it by mpm_call_context(). NULL:
     * nothing. */
    const char *parameters;
} mpm_task_description;

MPM_END

#endif
