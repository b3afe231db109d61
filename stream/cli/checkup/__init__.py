"""The checks of `callstream doctor`, one file for each subject.

Checks change and create nothing. What cannot be found out is `unknown`, never guessed. No line holds a secret
or a phone number.
"""
