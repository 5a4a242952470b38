#!/bin/sh
# Says in one sentence what to do about a build that failed; its own output stands above.
free=$(df -Pk . 2>/dev/null | awk 'NR == 2 { print int($4 / 1024) }')
case $free in
    '' | *[!0-9]*) free=1000 ;;
esac
if [ "$free" -lt 100 ]; then
    echo "The book was not built: the disk is full ($free MiB are free)." >&2
else
    echo "The book was not built: the lines above that say WARNING, ERROR or Extension error name the page." >&2
    echo "If the machine was at fault and not the page, make clean forgets what was executed." >&2
fi
