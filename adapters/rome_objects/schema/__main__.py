"""`python -m rome_objects.schema`."""

import sys

from rome_objects.schema.program import main

sys.exit(main())
