"""The providers' REST resources as their documentation has them: filters, paging and error bodies.

Pure, and without rows of its own: those come from a store. The simulator serves its calls with it, the API
the archive.
"""
