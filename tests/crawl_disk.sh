#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# mpmap crawl on disks that are full at different times, while pages come and while the report is written: it ends with a
# sentence, leaves no half-written report, and goes on once there is room, to all pages, each once. The disks are mounts of
# this script's own; where it may make none, files may not grow beyond a size. The site is that of crawl.sh. Arguments: the
# folder of the programs, that of the sources. Last line: "N passed, N failed".
set -uo pipefail
if [ -z "${OWN_MOUNTS:-}" ] && unshare -m true 2>/dev/null; then
    OWN_MOUNTS=yes exec unshare -m bash "$0" "$@"
fi
. "$(dirname "${BASH_SOURCE[0]}")/support/crawl_site.sh"

# has_room KIB: there is so much room, or files may be so large; 0: any.
has_room()
{
    if [ -n "${OWN_MOUNTS:-}" ]; then
        mountpoint -q disk || mount -t tmpfs tmpfs disk
        mount -o "remount,size=$(($1 ? $1 : 100000))k" disk
    else
        most=$1
    fi
}

# crawl_disk: quietly, with --resume; sets $status.
crawl_disk()
{
    (
        [ "${most:-0}" = 0 ] || { trap '' XFSZ; ulimit -f $((most / 3)); }
        run "${starts[@]}" --out disk/crawled "${quick[@]}" "${selects[@]}" "${few[@]}" --resume
        exit "$status"
    )
    status=$?
}
# What there is of the report is whole: all pages in each file.
is_whole()
{
    local name
    for name in $(ls disk/crawled); do
        case $name in
            *.part) return 1 ;;
            pages.jsonl | rows.jsonl) cmp -s <(wc -l <"disk/crawled/$name") <(wc -l <"$name") || return 1 ;;
            report.json) "$python" -c 'import json, sys; json.load(open(sys.argv[1]))' "disk/crawled/$name" || return 1 ;;
        esac
    done
}

serve site
mkdir disk
crawl_disk
all=$(du -sk disk/crawled | cut -f1)
first=$(du -ck disk/crawled/{journal,links-*,crawl-*.gz} | tail -n 1 | cut -f1) # without the report
whole disk/crawled "with room"
mv disk/crawled/{pages,rows}.jsonl .
rm -rf disk/crawled
sizes=($((first / 8)) $((first / 2)))
[ -z "${OWN_MOUNTS:-}" ] || sizes+=($((first + (all - first) / 4)) $((first + (all - first) * 3 / 4)))
for size in "${sizes[@]}"; do
    serve site
    has_room "$size"
    crawl_disk
    check "$size KiB: the crawl ends with 1" ends_with 1
    check "$size KiB: it says that there is no room" grep -qE 'cannot be written|No space left|File too large' err
    check "$size KiB: it names the file for which there is none" grep -qE "'disk/crawled/[a-z0-9.-]+'|the journal" err
    check "$size KiB: no part of a report is there" is_whole
    crawl_disk
    check "$size KiB: it says so again" ends_with 1
    has_room 0
    crawl_disk
    whole disk/crawled "$size KiB, then room"
    check "$size KiB, then room: rows are what the pages say" found disk/crawled rows
    check "$size KiB, then room: only what was on its way is asked for again" look again site $((2 * on_its_way))
    rm -rf disk/crawled
done
[ -z "${OWN_MOUNTS:-}" ] || umount disk
report
