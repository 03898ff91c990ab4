"""What an operator can set: every key, its type, its default and an example."""

from etcd_steward.settings.model import CERTIFICATE_FILES, HOST_KEYS, Settings
from etcd_steward.settings.reading import read_settings

__all__ = ["CERTIFICATE_FILES", "HOST_KEYS", "Settings", "read_settings"]
