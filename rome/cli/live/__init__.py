"""Commands that show a database in use: `rome watch` shows commits, `rome top` also processes and statements."""
