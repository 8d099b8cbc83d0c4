/* SPDX-License-Identifier: BSD-3-Clause */
/* What a careful user writes in an afternoon: the grid of svm-grid over libsvm's own calls, in two processes that share
 * nothing, with the kernel matrix of each gamma computed once for all C and folds. Prints the best cell.
 *   bare_loop DATA.svm */
#include <libsvm/svm.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define FEATURES  64
#define MOST_ROWS 2000
#define FOLDS     5
#define PROCESSES 2

static double features[MOST_ROWS][FEATURES], labels[MOST_ROWS];
static int rows;

static void read_data(const char *path)
{
    FILE *file = fopen(path, "r");
    char *line = NULL, *at;
    size_t room = 0;

    if (!file)
        exit(1);
    while (rows < MOST_ROWS && getline(&line, &room, file) > 0) {
        labels[rows] = strtod(line, &at);
        for (long index; (index = strtol(at, &at, 10)) > 0 && *at == ':' && index <= FEATURES;)
            features[rows][index - 1] = strtod(at + 1, &at);
        rows++;
    }
    fclose(file);
    free(line);
}

static void make_matrix(struct svm_node *matrix, double gamma)
{
    for (int i = 0; i < rows; i++) {
        struct svm_node *row = matrix + (size_t)i * (size_t)(rows + 2);

        row[0] = (struct svm_node){0, i + 1};
        row[rows + 1].index = -1;
        for (int j = 0; j < rows; j++) {
            double sum = 0;

            for (int f = 0; f < FEATURES; f++)
                sum += (features[i][f] - features[j][f]) * (features[i][f] - features[j][f]);
            row[j + 1] = (struct svm_node){j + 1, exp(-gamma * sum)};
        }
    }
}

static double fit(struct svm_node *matrix, double c, int fold)
{
    static struct svm_node *x[MOST_ROWS];
    static double y[MOST_ROWS];
    struct svm_parameter parameter = {
        .kernel_type = PRECOMPUTED, .cache_size = 100, .eps = 1e-3, .C = c, .shrinking = 1};
    struct svm_problem problem = {.x = x, .y = y};
    struct svm_model *model;
    double right = 0;

    for (int i = 0; i < rows; i++) {
        if (i % FOLDS == fold)
            continue;
        x[problem.l] = matrix + (size_t)i * (size_t)(rows + 2);
        y[problem.l++] = labels[i];
    }
    model = svm_train(&problem, &parameter);
    for (int i = fold; i < rows; i += FOLDS)
        right += svm_predict(model, matrix + (size_t)i * (size_t)(rows + 2)) == labels[i];
    svm_free_and_destroy_model(&model);
    return right;
}

static void run(int process, double *best)
{
    struct svm_node *matrix = malloc((size_t)rows * (size_t)(rows + 2) * sizeof *matrix);

    for (int g = 3 - 2 * process; g >= -15; g -= 2 * PROCESSES) {
        make_matrix(matrix, exp2(g));
        for (int c = -5; c <= 15; c += 2) {
            double right = 0;

            for (int fold = 0; fold < FOLDS; fold++)
                right += fit(matrix, exp2(c), fold);
            if (right > best[0]) {
                best[0] = right;
                best[1] = c;
                best[2] = g;
            }
        }
    }
    free(matrix);
}

static void print_nothing(const char *text)
{
    (void)text;
}

int main(int argc, char **argv)
{
    double *best = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *top = best;

    if (argc < 2 || best == MAP_FAILED)
        return 2;
    svm_set_print_string_function(print_nothing);
    read_data(argv[1]);
    for (int process = 0; process < PROCESSES; process++) {
        if (!fork()) {
            run(process, best + 3 * process);
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {
    }
    for (int process = 1; process < PROCESSES; process++) {
        if (best[3 * process] > top[0])
            top = best + 3 * process;
    }
    printf("C=%g gamma=%g accuracy %.5f\n", exp2(top[1]), exp2(top[2]), top[0] / rows);
    return 0;
}
