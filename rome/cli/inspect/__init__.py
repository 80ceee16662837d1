"""Commands that show a database as it is: `rome tables`, `rome keys`, `rome locks`; and plans: `rome explain`."""
