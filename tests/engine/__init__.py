"""Tests with pyinfra's real engine over hosts that are only pretended."""
