#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# own_shm.sh COMMAND…: runs it where /dev/shm is its own, as root: other tests run meanwhile, and what they have there is
# not what the command has left.
if unshare -m true 2>/dev/null; then
    exec unshare -m bash -c 'mount -t tmpfs tmpfs /dev/shm; exec "$@"' own_shm "$@"
fi
exec "$@"
