"""The providers' own REST resources over the archive: their SDKs read from callstream by a base URL."""
