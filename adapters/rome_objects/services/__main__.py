"""`python -m rome_objects.services`."""

import sys

from rome_objects.services.program import main

sys.exit(main())
