"""The habits of other libraries, on the functional core."""
