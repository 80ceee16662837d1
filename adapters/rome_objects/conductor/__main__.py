"""`python -m rome_objects.conductor`."""

import sys

from rome_objects.conductor.program import main

sys.exit(main())
