"""What is read by time: windows that follow the clock, backfills, and their stored progress."""
