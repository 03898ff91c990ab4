"""What lands on a host: configuration, service definitions and shell fragments."""
