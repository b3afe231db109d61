"""What `callstream doctor` looks at, one file a thing: each gives checks, a line each.

The rule of this folder: nothing is changed and nothing is made. What cannot be told is `unknown`, and never
guessed; no line holds a secret or a number.
"""
