"""The parts of `callstream up`: child processes and the live view."""
