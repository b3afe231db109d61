"""Dead letters as read from their topic, and how they are written back to where they came from."""
