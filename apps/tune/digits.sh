# SPDX-License-Identifier: BSD-3-Clause
# Sourced by demo.sh and bench.sh: scikit-learn's handwritten digits out of Debian's package, as text of libsvm with
# features from 0 to 1.

digits_package=python3-sklearn
digits_file=usr/lib/python3/dist-packages/sklearn/datasets/data/digits.csv.gz

# Takes the file out of the package, but neither installs it nor what it depends on.
download_digits()
{
    local folder=$1 archive
    rm -rf "$folder/download"
    mkdir -p "$folder/download"
    (cd "$folder/download" && apt-get -q download "$digits_package" 2>&1) >"$folder/download/log" || {
        echo "apt-get cannot download $digits_package: $(tail -n 1 "$folder/download/log")" >&2
        return 1
    }
    archive=$(find "$folder/download" -name "${digits_package}*.deb" -print -quit)
    dpkg-deb --fsys-tarfile "$archive" | tar -x -O "./$digits_file" >"$folder/digits.csv.gz"
    rm -rf "$folder/download"
}

# find_digits FOLDER: makes FOLDER/digits.csv and FOLDER/digits.svm.
find_digits()
{
    local folder=$1
    [ ! -s "$folder/digits.svm" ] || return 0
    if [ -f "/$digits_file" ]; then
        cp "/$digits_file" "$folder/digits.csv.gz"
    elif [ ! -s "$folder/digits.csv.gz" ]; then
        echo "Getting the digits out of the Debian package $digits_package ..."
        download_digits "$folder"
    fi
    gzip -dc "$folder/digits.csv.gz" >"$folder/digits.csv"
    awk -F, '{ printf "%d", $NF; for (i = 1; i < NF; i++) if ($i > 0) printf " %d:%g", i, $i / 16; print "" }' \
        "$folder/digits.csv" >"$folder/digits.svm.part"
    mv "$folder/digits.svm.part" "$folder/digits.svm"
}
