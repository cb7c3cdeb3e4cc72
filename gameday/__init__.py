"""Fifteen ways in which other systems lost track of an account, played against this one."""
