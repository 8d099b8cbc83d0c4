#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What `mpmap map` says of inputs and outputs that cannot be: each is one line "mpmap: …" that names the
# file, ends the command with status 1, and leaves no file behind. Last line: "N passed, N failed".
set -u

. "$(dirname "$0")/support/data_sets.sh"
task=$plugins/mean.so:mean

# is_one_line FILE PART: it holds one line, "mpmap: …", with PART in it.
is_one_line() {
    [[ $(wc -l <"$1") -eq 1 ]] && grep -q '^mpmap: ' "$1" && grep -qF -- "$2" "$1"
}

# refuses PART WORD…: `mpmap map` must end with status 1, say PART, and change no file.
refuses() {
    local part=$1 status before after
    shift
    before=$(find . -not -path ./out -not -path ./err -type f -exec md5sum {} + | sort)
    timeout 200 "$bin/mpmap" map "$@" >out 2>err
    status=$?
    after=$(find . -not -path ./out -not -path ./err -type f -exec md5sum {} + | sort)
    [[ $status -eq 1 && ! -s out && $before == "$after" ]] && is_one_line err "$part"
    count "map $*: status $status, should be 1, change no file, and say: $part" $?
}

seq 1 24 >numbers.txt
text_set in.h5 /data TEXTFP 32 "6 4"
text_set whole.h5 /whole TEXTIN 32 "6 4"
text_set group.h5 /some/inner TEXTFP 32 "24"
printf 'one\ntwo\n' >words.txt
printf 'PATH /words\nINPUT-CLASS STR\n' >set.conf
h5import words.txt -c set.conf -o words.h5 >/dev/null || exit 1
echo 'not HDF5' >text.h5
head -c 1000 in.h5 >short.h5
echo precious >taken.h5
cp in.h5 goal.h5.part
ln -s in.h5 link.h5
ln -s none.h5 dangling.h5
mkdir links
ln -s ../taken.h5 links/out.h5.part
text_set colon.h5 '/HYDRO::rho' TEXTFP 32 "6 4"
# The header of a data set in the latest format has a checksum: it is wrong here.
h5repack -L in.h5 damaged.h5
python3 - <<'P' || exit 1
data = bytearray(open('damaged.h5', 'rb').read())
data[data.rindex(b'OHDR') + 12] ^= 1
open('damaged.h5', 'wb').write(data)
P

refuses 'file missing.h5 does not exist' "$task" missing.h5:/data out.h5:/result
refuses 'text.h5 is not an HDF5 file' "$task" text.h5:/data out.h5:/result
refuses 'cannot open short.h5: ' "$task" short.h5:/data out.h5:/result
refuses '. is a folder, not an HDF5 file' "$task" .:/data out.h5:/result
refuses 'in.h5 has no data set /dat: at its top level it holds data' "$task" in.h5:/dat out.h5:/result
refuses 'group.h5:/some is a group, not a data set: it holds inner' "$task" group.h5:/some out.h5:/result
refuses "mean takes rows of f32, but those of 'words.h5:/words' are u8[]" "$task" words.h5:/words out.h5:/result
refuses 'damaged.h5:/data cannot be read: incorrect metadata checksum' "$task" damaged.h5:/data out.h5:/result
refuses 'colon.h5 has no data set /HYDRO::rh: at its top level it holds HYDRO::rho' \
    "$task" colon.h5:/HYDRO::rh out.h5:/result
refuses 'dangling.h5 is a symbolic link to none.h5' "$task" in.h5:/data dangling.h5:/result
refuses 'dangling.h5 is a symbolic link to none.h5' "$task" in.h5:/data dangling.h5:/result --overwrite-file
refuses '/links/out.h5.part is a symbolic link' "$task" in.h5:/data links/out.h5:/result
refuses 'taken.h5 is not a readable HDF5 file' "$task" in.h5:/data taken.h5:/result --overwrite
exec 9<>in.h5
flock -x 9 # as HDF5 does in a program that writes it
refuses 'in.h5 is open for writing, ' "$task" in.h5:/data out.h5:/result 9>&-
check 'unless it may be' "$bin/mpmap" map "$task" in.h5:/data out.h5:/result --quiet --no-lock
rm -f out.h5
HDF5_USE_FILE_LOCKING=FALSE check 'or HDF5 must not look' "$bin/mpmap" map "$task" in.h5:/data out.h5:/result --quiet
rm -f out.h5
exec 9>&-
refuses 'f32' "$task" whole.h5:/whole out.h5:/result
refuses 'taken.h5 exists: choose another name, or overwrite it (--overwrite, MPM_OVERWRITE_RESULT)' "$task" in.h5:/data taken.h5:/result
refuses 'cannot create no/out.h5: its folder does not exist' "$task" in.h5:/data no/out.h5:/result
refuses 'cannot create text.h5/out.h5: Not a directory' "$task" in.h5:/data text.h5/out.h5:/result
refuses '. exists and is not a file' "$task" in.h5:/data .:/result --overwrite
refuses 'in.h5 is the input file' "$task" in.h5:/data in.h5:/result --overwrite
refuses 'link.h5 is the input file' "$task" in.h5:/data link.h5:/result --overwrite
refuses 'rename it' "$task" goal.h5.part:/data goal.h5:/result
refuses '"/" is not the name of a data set' "$task" in.h5:/data out.h5:/
refuses '"/result/" is not the name of a data set' "$task" in.h5:/data out.h5:/result/
refuses 'bytes are needed' "$task" in.h5:/data out.h5:/result --result 'u8[17592186044416]' --quiet
usual_limit=$(ulimit -Sf)
ulimit -Sf 2
refuses "the limit of a file's size is 2048 (ulimit -f)" "$task" in.h5:/data out.h5:/result
ulimit -Sf "$usual_limit"

# The same words, put right.
check 'a good map ends well' "$bin/mpmap" map "$task" in.h5:/data out.h5:/result --quiet
check 'its results are right' test "$(values out.h5 /result)" = 2.5,6.5,10.5,14.5,18.5,22.5
check 'it may be overwritten' "$bin/mpmap" map "$task" in.h5:/data out.h5:/result --quiet --overwrite
check 'no part of it stays' test ! -e out.h5.part

check 'a colon in the name of a data set is no trouble' \
    "$bin/mpmap" map "$task" 'colon.h5:/HYDRO::rho' colon-out.h5:/a:b --quiet
check 'its results are right' test "$(values colon-out.h5 /a:b)" = 2.5,6.5,10.5,14.5,18.5,22.5

# What is printed where stdout and stderr are closed must not go into a file that has got their numbers.
talking=$test_plugins/talking.so:talk
check 'a map whose standard files are closed ends well' \
    "$bin/mpmap" map "$talking" in.h5:/data silent.h5:/result <&- >&- 2>&-
check 'its results are right' test "$(values silent.h5 /result)" = 0,1,2,3,4,5

report
