#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Finds the best support vector machine for handwritten digits: all 110 candidates of svm-grid, with nested
# cross-validation, then the same by successive halving, and a page to look at.
#
#   MPMAP_BIN  folder with mpmap and mpmap-tune
#   MPMAP_OUT  folder for what is made here; the digits are kept there
set -euo pipefail

out=$(realpath -m "${MPMAP_OUT:?set it to the folder for the results}")
bin=$(realpath "${MPMAP_BIN:?set it to the folder of mpmap}")
. "$(dirname "${BASH_SOURCE[0]}")/digits.sh"

mkdir -p "$out"
find_digits "$out"
# What was left by an earlier demonstration is done again.
tune=("$bin/mpmap" tune "$out/digits.svm" --restart)

echo "All candidates on all folds, and three searches more without a third of the rows each:"
echo "  ${tune[*]} --out $out/grid --nested 3"
"${tune[@]}" --out "$out/grid" --nested 3
echo
echo "The same grid by successive halving:"
echo "  ${tune[*]} --out $out/asha --search asha"
"${tune[@]}" --out "$out/asha" --search asha
if command -v svm-predict >/dev/null; then
    echo
    echo "The final model is a file of libsvm. svm-predict, on the rows that it was trained on:"
    svm-predict "$out/digits.svm" "$out/grid/model.svm" "$out/predicted" | sed 's/^/  /'
fi

cat <<TEXT

Look at   $out/grid/report.html  (the scores, how certain they are, and what to expect of new data)
and at    $out/asha/report.html  (how few fits found about the same)

Digits: scikit-learn's copy of "Optical recognition of handwritten digits" of the UCI repository.
TEXT
