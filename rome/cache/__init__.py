"""Rows that a process keeps, so that it reads them again without a round trip.

`staleness=SECONDS` in a database's URL allows it. Transactions then read the newest version that the cache has, which
is at most so many seconds behind the store's. What it promises is in `docs/promises.rst`.

    known       what is known of one space: values of keys, and key ranges that are known whole
    contents    all spaces, at one version: answers requests, learns answers, applies commits, forgets
    cached      reads from the contents or from the store, and commits to the store
    follower    the thread that brings the contents up to date
    predictions numbers for new rows, without a round trip
    options     the options of the URL
    results     rows that transactions share, with results of statements over them
"""
