"""What `callstream up` is made of: child processes and the live view."""
