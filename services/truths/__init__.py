"""Truths that arrive late: read from a file, put into the ledger, and sent as feedback to the arm that earned them.

Above the parts it joins (engine, traffic, evidence), as `trials` is.
"""
