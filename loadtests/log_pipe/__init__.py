"""The running log as benchmarks need it: broker, shipper and sink as processes, rows, and what a row costs at a steady rate."""
