#!/bin/sh
# Runs delta-node as whoever owns /app, so that it works in a directory of any owner, and leaves no files of root's there.
#
#   started as root    an empty /app of root's becomes the node's (user 1000). Then the program runs as the owner of /app, without
#                      any capability; where that is root, as root without any capability.
#   started otherwise  (--user) the program runs as it was started.
set -eu

if [ "$(id -u)" != 0 ]; then
    exec delta-node "$@"
fi

owner="$(stat -c %u /app)"
group="$(stat -c %g /app)"
if [ "$owner" = 0 ] && [ -z "$(ls -A /app)" ]; then
    # A volume that the engine has just made. Where /app is read-only, or root may not give it away, things stay as they are.
    if chown 1000:1000 /app 2>/dev/null; then
        owner=1000
        group=1000
    fi
fi
if [ "$owner" = 0 ]; then
    echo "delta-node: /app belongs to root, so the program runs as root, without capabilities; chown it to a user to change that" >&2
fi
export HOME=/tmp
# An engine that gives no capabilities (cap_drop: ALL) does not let root become somebody else either: then --user is needed.
exec setpriv --reuid "$owner" --regid "$group" --clear-groups --inh-caps=-all --bounding-set=-all --no-new-privs -- delta-node "$@"
