/* SPDX-License-Identifier: BSD-3-Clause */
/* Node i of a level is made of nodes 2 i and 2 i + 1 of the level below; without the latter it is the former as it is.
 * A state that waits for its neighbour is found by level and number; how many wait is bounded by how far leaves are
 * done out of order, and one a level. */
#include "pool/driver/reduce_tree.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "node/context.h"

#define BUCKETS 4096u /* a power of two */

struct waiting {
    struct waiting *next;
    unsigned level;
    uint64_t number;
    _Alignas(64) char state[];
};

struct reduce_tree {
    uint64_t leaf_count;
    const mpm_reduction *reduction;
    struct waiting *root;
    struct waiting *bucket[BUCKETS];
};

struct reduce_tree *reduce_tree_create(uint64_t leaf_count, const mpm_reduction *reduction)
{
    struct reduce_tree *tree = calloc(1, sizeof *tree);

    if (tree) {
        tree->leaf_count = leaf_count;
        tree->reduction = reduction;
    }
    return tree;
}

static struct waiting **bucket_of(struct reduce_tree *tree, unsigned level, uint64_t number)
{
    return &tree->bucket[(number + level * UINT64_C(1021)) & (BUCKETS - 1)];
}

/* Takes out the one that waits there; NULL if none does. */
static struct waiting *take(struct reduce_tree *tree, unsigned level, uint64_t number)
{
    for (struct waiting **at = bucket_of(tree, level, number); *at; at = &(*at)->next) {
        struct waiting *found = *at;

        if (found->level != level || found->number != number)
            continue;
        *at = found->next;
        return found;
    }
    return NULL;
}

static void keep(struct reduce_tree *tree, struct waiting *state)
{
    struct waiting **bucket = bucket_of(tree, state->level, state->number);

    state->next = *bucket;
    *bucket = state;
}

static const void *context_of(const struct reduce_tree *tree)
{
    return tree->reduction->context_size ? tree->reduction->context : NULL;
}

/* Of two neighbours in any order: the earlier one, with the later one in it. */
static struct waiting *combine(const struct reduce_tree *tree, struct waiting *one, struct waiting *other)
{
    struct waiting *earlier = one->number < other->number ? one : other,
                   *later = earlier == one ? other : one;

    tree->reduction->combine(earlier->state, later->state, context_of(tree));
    context_back_from_program(EXIT_SUCCESS);
    free(later);
    return earlier;
}

/* Takes a state as far towards the root as there are neighbours for it. */
static void rise(struct reduce_tree *tree, struct waiting *state)
{
    uint64_t width = tree->leaf_count; /* of the level that the state is on */

    for (; width > 1; width = (width + 1) / 2) {
        uint64_t neighbour = state->number ^ 1;
        struct waiting *other;

        if (neighbour < width) {
            if (!(other = take(tree, state->level, neighbour))) {
                keep(tree, state);
                return;
            }
            state = combine(tree, state, other);
        }
        state->number /= 2;
        state->level++;
    }
    tree->root = state;
}

size_t reduce_tree_stride(const struct reduce_tree *tree)
{
    return (tree->reduction->state_size + 63) / 64 * 64;
}

int reduce_tree_put(struct reduce_tree *tree, uint64_t leaf, const void *state)
{
    size_t state_size = tree->reduction->state_size, size = sizeof(struct waiting) + reduce_tree_stride(tree);
    struct waiting *made = aligned_alloc(64, size);

    assert(leaf < tree->leaf_count && !tree->root);
    if (!made)
        return error_set(MPM_ENOMEM, "no memory for a state of %zu bytes", state_size);
    made->level = 0;
    made->number = leaf;
    memcpy(made->state, state, state_size);
    rise(tree, made);
    return MPM_OK;
}

const void *reduce_tree_root(const struct reduce_tree *tree)
{
    return tree->root ? tree->root->state : NULL;
}

void reduce_tree_destroy(struct reduce_tree *tree)
{
    if (!tree)
        return;
    for (unsigned i = 0; i < BUCKETS; i++) {
        for (struct waiting *state = tree->bucket[i], *next; state; state = next) {
            next = state->next;
            free(state);
        }
    }
    free(tree->root);
    free(tree);
}
