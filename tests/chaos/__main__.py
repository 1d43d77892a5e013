"""``python -m tests.chaos``: see program.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from chaos.program import main

if __name__ == "__main__":
    sys.exit(main())
