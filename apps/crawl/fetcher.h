/* SPDX-License-Identifier: BSD-3-Clause */
/* A fetcher: a process that asks for what main orders, up to hundreds of pages at a time. */
#ifndef MPMAP_CRAWL_FETCHER_H
#define MPMAP_CRAWL_FETCHER_H

#include <mpmap.h>

/* The process. Its arguments are a struct fetcher_start, and texts: see message.h. */
mpm_target fetcher_main;

#endif
