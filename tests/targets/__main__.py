"""`python -m tests.targets images|clean [FAMILY…]`: build the images, or remove what killed runs left."""

from __future__ import annotations

import argparse

from . import images, leftovers
from .bases import FAMILIES


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.targets", description="Containers that stand for servers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("images", help="build the target images")
    build.add_argument("families", nargs="*", metavar="FAMILY", help=", ".join(FAMILIES))
    clean = commands.add_parser("clean", help="remove containers and networks whose run has ended")
    clean.add_argument("lab", nargs="?", help="this lab, even one that was to be kept")
    arguments = parser.parse_args()
    if arguments.command == "images":
        for family, tag in images.build_all(arguments.families).items():
            print(f"{images.title(family):24} {tag}")
    else:
        print(f"removed {leftovers.remove_leftovers(arguments.lab)} containers")


if __name__ == "__main__":
    main()
