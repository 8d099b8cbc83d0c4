/* SPDX-License-Identifier: BSD-3-Clause */
/* Items and results of any length: each word comes back reversed. In Python, where all items are like that:
 *
 *     import multiprocessing
 *
 *     def reverse(word):
 *         return word[::-1]
 *
 *     if __name__ == "__main__":
 *         with multiprocessing.Pool(2) as pool:
 *             print(*pool.map(reverse, ["a", "map", "of", "texts"]))
 *
 * Runs as it is, or under mpirun or srun. */
#include <mpmap.h>
#include <stdio.h>

static int reverse(mpm_call *call, const void *item, void *result)
{
    size_t size = mpm_call_item_size(call);
    const char *word = item;
    char *reversed = mpm_call_blob(call, size); /* memory for the result */

    (void)result;
    if (!reversed)
        return 1;
    for (size_t i = 0; i < size; i++)
        reversed[i] = word[size - 1 - i];
    return 0;
}

int main(int argc, char **argv)
{
    const mpm_blob words[] = {{"a", 1}, {"map", 3}, {"of", 2}, {"texts", 5}};
    mpm_blob *results;
    mpm_pool *pool;

    if (mpm_init(&argc, &argv, NULL) || mpm_pool_open(&(mpm_pool_options){.workers = 2}, &pool) ||
        mpm_pool_map_blobs(pool, reverse, words, 4, NULL, &results))
        return mpm_report_error();
    for (int i = 0; i < 4; i++)
        printf("%s%s", i ? " " : "", (const char *)results[i].bytes); /* each ends with a zero byte */
    printf("\n");
    mpm_blobs_free(results);
    return mpm_finalize();
}
