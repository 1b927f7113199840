"""Starts a worker on the socket that is file descriptor 0."""

import os
import sys

# Started by path, Python puts this folder first: `import cells` of user code would find our module.
if sys.path and os.path.abspath(sys.path[0]) == os.path.dirname(os.path.abspath(__file__)):
    del sys.path[0]

from sostenuto.worker.process import main  # noqa: E402

main()
