#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Checks the words of the tree given as an argument (this one by default): each word of ARCHITECTURE.md's table is used
# in lib/, and none that was given up for a better one is, neither in a name nor in a comment of lib/. And each acquire and
# each release of lib/ has a comment, on its line or in the five above, that says what it pairs with.
set -u

cd "${1:-$(dirname "$0")/..}" || exit 1
failed=0

complain()
{
    echo "$*"
    failed=1
}

# WORD PATTERN INSTEAD: what no name and no comment has; a pattern of grep -P, in which ~ is a place where a part of a
# name ends or begins.
given_up()
{
    cat <<'TEXT'
wait word	~wait_word~|\bwait words?\b	eventcount
bell	~bells?~	doorbell
life	~life~	thread token
party	~party~	thread reference
tray	~trays?~	send buffer
credit	~credits?~	delegation
bereft	~bereft~	without workers
bereaved	~bereaved~	dead parents
steward	~stewards?~	node agent
estate	~estate~	pool registry
harvest	~harvests?~	lease results
doom	~doom~	kill order
guilt	~guilt~	cause of death
suspect	~suspects?~	crashed item
tally	~tall(y|ies)~	statistics
held lease	~held_(lease|job)~	node lease, node job
settle	~settle_(mask|in|in_child|signals|group|die_with|drop_handlers)~	child set-up
host	~host_(area|record|inside|start|end|main|call)~	fork server
far	~(put|get|read|send|receive)_far~	_remote
runtime	\bruntime_(?!test)	context
hang up	\b(hung|hangs|hang) (it |them |leases )?up\b	publish
TEXT
}

# Parties are what meets at a barrier.
barriers='lib/(sync/barrier\.c|include/mpmap/sync\.h)'

check_given_up()
{
    local word pattern instead found
    while IFS=$'\t' read -r word pattern instead; do
        pattern=${pattern//\~/(?<![A-Za-z0-9])}
        pattern=$(sed -E 's/\(\?<!\[A-Za-z0-9\]\)($|\|)/(?![A-Za-z0-9])\1/g' <<<"$pattern")
        found=$(grep -rnP --include='*.[ch]' "$pattern" lib | grep -vE "^$barriers:.*part(y|ies)") || continue
        complain "$(head -3 <<<"$found")
\"$word\" was given up: it is \"$instead\" now"
    done < <(given_up)
}

# The words of the table, one a line.
table_words() { sed -n '/^## The words/,/^## /s/^| \([a-z][a-z ]*\) |.*/\1/p' ARCHITECTURE.md | grep -vx word; }

check_table()
{
    local word
    [ -n "$(table_words)" ] || complain "ARCHITECTURE.md has no table of words"
    while read -r word; do
        grep -rqiE --include='*.[ch]' "(^|[^a-zA-Z0-9])(${word// /[_ ]+})s?([^a-zA-Z0-9]|$)" lib ||
            complain "ARCHITECTURE.md explains \"$word\", which nothing in lib/ is called"
    done < <(table_words)
}

check_partners()
{
    local found
    found=$(find lib -name '*.[ch]' -print0 | xargs -0 awk '
        FNR == 1 { last = -9 }
        /[Pp]airs? with/ { last = FNR }
        /memory_order_(acquire|release|acq_rel)/ && FNR - last > 5 { print FILENAME ":" FNR ":" $0 }')
    [ -z "$found" ] || complain "$found
it is not said what this pairs with: \"Pairs with …\""
}

check_given_up
check_table
check_partners
exit $failed
