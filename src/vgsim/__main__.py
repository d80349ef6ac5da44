"""``python -m vgsim`` is the command ``vgsim``."""

import sys

from vgsim._cli.main import main

sys.exit(main())
