/* SPDX-License-Identifier: BSD-3-Clause */
/* The files of the fetchers, as main sees them: FOLDER/crawl-N.warc.gz, and FOLDER/links-N.bin. */
#ifndef MPMAP_CRAWL_FILES_H
#define MPMAP_CRAWL_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "frontier.h"

/* Up to where the files of a fetcher hold pages that are done. */
struct file_ends {
    uint64_t warc, edges;
};

/* For all numbers of files: those that pages which are done are in. The caller frees it. */
struct file_ends *files_ends(const struct frontier *frontier, size_t *count);
/* Cuts off what no page that is done has. Returns 0, or 1 after saying what is wrong. */
int files_cut(const char *folder, size_t number, struct file_ends ends);
/* The same for all files that are there. */
int files_cut_all(const struct frontier *frontier);

#endif
