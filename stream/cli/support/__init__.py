"""What the commands share: terminal output, times as arguments, start-up, progress bars."""
