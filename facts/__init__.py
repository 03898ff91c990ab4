"""What is true on a host: a shell probe, and pure parsers for its output."""
