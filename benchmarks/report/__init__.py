"""The report of the benchmarks: ratios, plots, and the page that shows them."""
