#!/bin/sh
# numba uses no cache that it cannot write to: give it a copy of the image's, in the tmpfs at /tmp.
set -eu
if [ ! -d "$NUMBA_CACHE_DIR" ]; then
  cp -R /opt/genrestream/numba-cache "$NUMBA_CACHE_DIR" || echo "no room in /tmp: kernels will be compiled" >&2
fi
exec genrestream "$@"
