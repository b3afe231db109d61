"""What callstream promises to those who read its topics: JSON Schemas, an AsyncAPI document, examples."""
