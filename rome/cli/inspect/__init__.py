"""What is in a database: `rome tables`, `rome keys`, `rome locks`, and the plans of statements, `rome explain`."""
