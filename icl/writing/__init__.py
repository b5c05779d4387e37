"""Tasks whose answers are written: lists of labels, entities in brackets, free text."""
