"""The command line: everything a page does, a command does, over the same services.

One small module per noun. Nothing heavy is imported before a command needs it, so that `--help` answers at once.
Data goes to stdout, progress and errors to stderr.
"""
