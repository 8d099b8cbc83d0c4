/* SPDX-License-Identifier: BSD-3-Clause */
/* The list of all learners, those of libsvm first. */
#include "learner.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hash.h"
#include "support/command.h"

#define MOST_LEARNERS 32

size_t learner_count(void)
{
    return svm_learner_count + linear_learner_count + tree_learner_count;
}

const struct learner *learner_at(size_t number)
{
    if (number < svm_learner_count)
        return &svm_learners[number];
    number -= svm_learner_count;
    return number < linear_learner_count ? &linear_learners[number]
                                         : &tree_learners[number - linear_learner_count];
}

int learner_find(const char *name, uint32_t *number)
{
    const char *names[MOST_LEARNERS];
    size_t count = learner_count();

    for (size_t i = 0; i < count; i++) {
        names[i] = learner_at(i)->name;
        if (!strcmp(names[i], name)) {
            *number = (uint32_t)i;
            return 0;
        }
    }
    return unknown_word("", "learner", name, names, count);
}

static uint64_t hash_file(uint64_t hash, const char *path)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    struct stat state;
    void *bytes;

    if (file < 0)
        return hash_text(hash, path);
    if (!fstat(file, &state) && state.st_size > 0 &&
        (bytes = mmap(NULL, (size_t)state.st_size, PROT_READ, MAP_PRIVATE, file, 0)) != MAP_FAILED) {
        hash = hash_bytes(hash, bytes, (size_t)state.st_size);
        munmap(bytes, (size_t)state.st_size);
    }
    close(file);
    return hash;
}

uint64_t learner_code_hash(const struct learner *learner)
{
    /* A function of each library: main's own table names functions of this program only. */
    static const char *const names[] = {[LIBRARY_SVM] = "svm_train",
                                        [LIBRARY_LINEAR] = "find_parameters",
                                        [LIBRARY_XGBOOST] = "XGBoosterCreate"};
    uint64_t hash = hash_file(0, "/proc/self/exe");
    void *function = dlsym(RTLD_DEFAULT, names[learner->library]);
    Dl_info info;

    if (function && dladdr(function, &info) && info.dli_fname)
        hash = hash_file(hash, info.dli_fname);
    return hash;
}

void learners_quiet(void)
{
    svm_quiet();
    linear_quiet();
}
