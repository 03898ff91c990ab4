"""What changes a host; each operation is usable alone in other deploys."""
