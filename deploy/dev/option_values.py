"""What options of ./dev's commands may be."""
import argparse


def count(most):
    """The type of an option that takes a whole number from 1 to `most`."""
    def read(text):
        if not text.isdigit() or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"expected a number from 1 to {most}, not '{text}'")
        return int(text)
    return read
