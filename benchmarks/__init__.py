"""Measurements that the documentation quotes, one command each; libraries compute on one thread."""

import os

# Read by the libraries when they are first imported.
for _name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"
