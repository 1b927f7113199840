"""Random services, run in four ways that must agree.

`catalogue` names every operation of the language that services may use; `program` makes a random service of them;
`compiling` has the real compiler translate many at once; `ways` runs one: as plain Python (the oracle), compiled,
compiled with evictions, lost runs and replays, compiled with a miss at every access. `campaign` compares, counts and
shrinks what differs; `planted` breaks the worker or the lowered text on purpose, to show that it would be found.

    cd tests && python3 -m differential --programs 1000
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

for _place in (ROOT / "python", ROOT / "python" / "tests"):
    if str(_place) not in sys.path:
        # Behind this folder, which has tests of the same names.
        sys.path.append(str(_place))
