#!/usr/bin/env python3
"""The chart's tests: installs what they need, once, and runs them. Further arguments are pytest's."""
import argparse
import os
import pathlib
import sys

import tools


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=pathlib.Path, required=True, help="where what is installed is kept")
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True, help="the built services, which check the configurations")
    options, rest = parser.parse_known_args()
    helm = tools.helm(options.environments)
    python = tools.interpreter(options.environments)
    here = pathlib.Path(__file__).resolve().parent
    # Named, because pytest would look for it where the paths of all arguments meet.
    settings = ["-c", str(here / "pytest.ini"), "--rootdir", str(here)]
    arguments = [str(python), "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", *settings,
                 "--helm", str(helm), "--bin-dir", str(options.bin_dir.resolve()), *rest, str(here)]
    os.execv(python, arguments)


if __name__ == "__main__":
    sys.exit(main())
