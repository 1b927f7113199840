"""Random services, run in several ways that must agree.

`catalogue` and `flow` name every operation of the language that services may use, `application` is what all programs have
in common; `program` makes a random service of them, and says what other clients do meanwhile. `compiling` has the real
compiler translate many at once. `plain` runs one as plain Python (the oracle); `ways` runs it compiled, compiled with
evictions, lost runs and replays, compiled with a miss at every access; `outcome` is what came of it. `campaign` compares,
counts and shrinks what differs; `planted` breaks the worker or the lowered text on purpose, to show that it would be
found. `real` runs programs on the real server, while that and its workers are killed.

    cd tests && python3 -m differential --programs 1000
    cd tests && python3 -m differential --killed --programs 100
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

for _place in (ROOT / "python", ROOT / "python" / "tests"):
    if str(_place) not in sys.path:
        # Behind this folder, which has tests of the same names.
        sys.path.append(str(_place))
