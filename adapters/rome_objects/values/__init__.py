"""The values of an object's fields.

types      the types of strict fields
mutable    values that change in place
changes    the fields that changed since an object was read
codec      the fields of an object as primitives
dicts      objects as dictionaries
"""
