"""A process that makes days for another one: its order comes in, days go out, pickled.

Owns nothing else. It ends when its days are made, or when nobody listens any more.
"""

from __future__ import annotations

import gc
import os
import pickle
import sys

from sample_data.generator.days import make


def main() -> None:
    gc.disable()  # what is made here has no cycles, and there is much of it
    finished = sys.stdout.buffer
    try:
        for day in make(pickle.load(sys.stdin.buffer)):
            pickle.dump(day, finished, protocol=5)
            finished.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
