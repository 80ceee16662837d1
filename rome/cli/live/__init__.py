"""What happens in a database: `rome watch` shows commits, `rome top` also processes and statements."""
