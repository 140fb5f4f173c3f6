"""The command line: a file a verb; parses, calls a recipe, prints."""
